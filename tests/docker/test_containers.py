"""What the containers of docker/compose.yaml are allowed, and that none of them stays."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from resumable.launch.cluster import ComposeCluster
from tests.integration.commands import JOB, resumable
from tests.integration.nodes import compose_cluster, need_containers, plan_of_nodes
from tests.integration.waiting import wait_until

pytestmark = pytest.mark.containers

HOLD = """
import sys
from pathlib import Path
from tests.integration.nodes import compose_cluster, plan_of_nodes
folder = Path(sys.argv[1])
with compose_cluster(plan_of_nodes(folder / "code" / "meet.py", "1"), folder) as cluster:
    print(cluster.node(0).container, flush=True)
    sys.stdin.read()
"""


def docker(*words: str) -> str:
    return subprocess.run(["docker", *words], check=True, capture_output=True, text=True).stdout


def project_of(container: str) -> str:
    return docker("inspect", "--format", '{{index .Config.Labels "com.docker.compose.project"}}', container).strip()


def left_of(project: str) -> str:
    """Ids of all containers, networks and volumes of a project."""
    label = f"label=com.docker.compose.project={project}"
    kinds = (("ps", "--all"), ("network", "ls"), ("volume", "ls"))
    return "".join(docker(*kind, "--quiet", "--filter", label) for kind in kinds)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    need_containers()
    for name in ("runs", "code"):
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposeCluster]:
    folder = tmp_path_factory.mktemp("containers")
    for name in ("runs", "code"):
        (folder / name).mkdir()
    with compose_cluster(plan_of_nodes(folder / "code" / "meet.py", "1"), folder) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def container(cluster: ComposeCluster) -> dict[str, Any]:
    """What docker says of a node."""
    [described] = json.loads(docker("inspect", cluster.node(0).container))
    return described


def test_a_node_is_not_root(container: dict[str, Any]) -> None:
    """It has the rights of whoever started it, and none where that was root."""
    user = f"{os.getuid()}:{os.getgid()}" if os.getuid() else "1000:1000"
    assert container["Config"]["User"] == user


def test_a_node_has_no_capability(cluster: ComposeCluster) -> None:
    """The one that takes its link down is for root alone."""
    status = docker("exec", cluster.node(0).container, "cat", "/proc/self/status")
    assert "CapEff:\t0000000000000000" in status


def test_a_node_has_an_init_and_room_for_loader_workers(container: dict[str, Any]) -> None:
    """Orphans are reaped; batches fit into shared memory."""
    host = container["HostConfig"]
    assert (host["Init"], host["ShmSize"]) == (True, 512 << 20)


def test_a_node_cannot_reach_beyond_its_network(container: dict[str, Any]) -> None:
    """What is simulated stays in there."""
    [network] = container["NetworkSettings"]["Networks"]
    assert docker("network", "inspect", "--format", "{{.Internal}}", network).strip() == "true"


def test_a_node_that_reaches_the_store_is_healthy(cluster: ComposeCluster) -> None:
    """The check of the compose file passes."""
    node = cluster.node(0).container
    wait_until(
        lambda: docker("inspect", "--format", "{{.State.Health.Status}}", node).strip() == "healthy", timeout_s=60
    )


@pytest.mark.parametrize(
    "signum",  # SIGTERM, which nobody handles there, ends it as SIGKILL does
    [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.thorough), signal.SIGKILL],
)
def test_nothing_stays_when_the_supervisor_ends(folder: Path, signum: signal.Signals) -> None:
    """Containers, network and volumes go, however it ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    project = project_of(process.stdout.readline().strip())
    assert left_of(project) != ""
    process.send_signal(signum)
    process.communicate()
    wait_until(lambda: left_of(project) == "", timeout_s=60)


@pytest.mark.parametrize(("how", "code"), [((), 0), (("careless",), 1)], ids=["good", "careless"])
def test_a_script_of_ones_own_is_judged_over_the_loss_of_a_node(folder: Path, how: tuple[str, ...], code: int) -> None:
    """Its checkpoints lie in a folder of the run."""
    job = shutil.copy(JOB, folder / "code")
    cluster = ("--cluster", "compose", "--nnodes", "2", "--fault", "nodeloss(replace=0)@step=7:node=1")
    ended = resumable("verify", "--quiet", *cluster, job, "{run_dir}", "-1", *how, folder=folder, timeout_s=600)
    assert ended.returncode == code, ended.stdout + ended.stderr
