"""`resumable run` on every host, as on a real cluster."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from resumable.launch.evidence.history_reader import read_history
from resumable.launch.evidence.run_dir import RunDir
from tests.integration.hosts import Host, connected_hosts
from tests.integration.nodes import SCRIPT
from tests.integration.waiting import wait_until

TIMEOUT_S = 120
TIMEOUTS = "keep_alive_interval=1,keep_alive_max_attempt=3,last_call_timeout=2"
MEETING = ("--nnodes", "1:2", "--rdzv-id", "job", "--rdzv-endpoint", "host0:29500", "--rdzv-conf", TIMEOUTS)


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[list[Host]]:
    with connected_hosts(2, tmp_path) as hosts:
        yield hosts


def begin(host: Host, folder: Path, run_dir: str) -> None:
    """The same command on every host."""
    launch = (sys.executable, "-m", "resumable.launch", "run", "--run-dir", run_dir)
    host.start((*launch, *MEETING, "--nproc-per-node", "1", "--max-restarts", "9", "meet.py"), folder)


def worlds(folder: Path, run_dir: str) -> list[int]:
    """Number of ranks in each incarnation that a host has begun to train in."""
    history = read_history(RunDir(root=folder / run_dir).scenario("run"))
    return [history.world_size(number) for number in history.incarnations if history.group(number)]


def test_a_job_outlives_the_loss_of_a_host_and_grows_again(hosts: list[Host], tmp_path: Path) -> None:
    """The other one goes on alone, and both end the job together once it is back."""
    (tmp_path / "meet.py").write_text(SCRIPT)
    begin(hosts[0], tmp_path, "first")
    begin(hosts[1], tmp_path, "second")
    wait_until(lambda: worlds(tmp_path, "first") == worlds(tmp_path, "second") == [2], timeout_s=TIMEOUT_S)
    hosts[1].lose()
    wait_until(lambda: worlds(tmp_path, "first") == [2, 1], timeout_s=TIMEOUT_S)
    begin(hosts[1], tmp_path, "third")
    wait_until(lambda: worlds(tmp_path, "first")[2:] == worlds(tmp_path, "third") == [2], timeout_s=TIMEOUT_S)
    (tmp_path / "over").touch()
    ended = [(host.running[0].communicate(timeout=TIMEOUT_S)[0], host.running[0].returncode) for host in hosts]
    assert [code for _, code in ended] == [0, 0], ended
