"""Jobs of a real Slurm: every attempt is recorded in one run directory, and judged, with and without an undisturbed run."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from resumable.launch.run.foreign_command import SITE
from tests.integration.waiting import wait_until
from tests.slurm.cluster import Slurm, running

JOB = Path(__file__).parents[1] / "integration" / "jobs" / "plain.py"
TEMPLATE = Path(__file__).parents[2] / "docker" / "slurm.sbatch"
TIMEOUT_S = 240
HELD_AFTER = 7
"""Steps after which a job that is held waits for the file `go`."""
VARIABLES = {
    "OMP_NUM_THREADS": "1",
    "GLOO_SOCKET_IFNAME": "lo",
    "PYTHONPATH": os.pathsep.join([str(SITE), *filter(None, [os.environ.get("PYTHONPATH")])]),
}
TASKS = """\
#!/bin/sh
#SBATCH --nodes=2 --ntasks-per-node=1 --requeue --open-mode=append --output=log
export MASTER_ADDR=127.0.0.1 MASTER_PORT=$((PORT + ${{SLURM_RESTART_COUNT:-0}}))
srun --kill-on-bad-exit=1 sh -c 'RANK=$SLURM_PROCID WORLD_SIZE=$SLURM_NTASKS LOCAL_RANK=$SLURM_LOCALID exec {job}'
code=$?
[ $code = 0 ] || [ "${{SLURM_RESTART_COUNT:-0}}" -ge 3 ] || {{ scontrol requeue "$SLURM_JOB_ID"; sleep 60; }}
exit $code
"""
AGENTS = """\
#!/bin/sh
#SBATCH --nodes=2 --ntasks-per-node=1 --requeue --open-mode=append --output=log
port=$((PORT + ${{SLURM_RESTART_COUNT:-0}}))
srun --kill-on-bad-exit=1 {python} -m torch.distributed.run --nnodes 2 --nproc-per-node 1 --max-restarts 0 \\
    --rdzv-backend c10d --rdzv-endpoint 127.0.0.1:$port --rdzv-id "$SLURM_JOB_ID.${{SLURM_RESTART_COUNT:-0}}" \\
    --local-addr 127.0.0.1 {script}
code=$?
[ $code = 0 ] || [ "${{SLURM_RESTART_COUNT:-0}}" -ge 3 ] || {{ scontrol requeue "$SLURM_JOB_ID"; sleep 60; }}
exit $code
"""
ONE_NODE = """\
#!/bin/sh
#SBATCH --nodes=1 --requeue --open-mode=append --output=log
exec {python} -m torch.distributed.run --standalone --local-addr 127.0.0.1 --nproc-per-node 2 {script}
"""
RIGHT_AND_CARELESS = [
    pytest.param((), 0, id="right"),
    pytest.param(("careless",), 1, id="careless", marks=pytest.mark.thorough),
]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    with running(tmp_path_factory.mktemp("slurm"), num_nodes=3) as cluster:
        yield cluster


def submitted(slurm: Slurm, folder: Path, script: str, *words: str) -> str:
    """The number of a job whose ranks are recorded in `run`."""
    job = " ".join([str(JOB), "work", *words])
    (folder / "job.sh").write_text(script.format(python=sys.executable, script=job, job=f"{sys.executable} {job}"))
    return slurm.run("sbatch", "--parsable", "job.sh", cwd=folder, **variables(folder)).strip()


def variables(folder: Path) -> dict[str, str]:
    """Of a job; it meets at a port that no other cluster's job has, though both count their jobs from 1."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return {**VARIABLES, "PORT": str(port), "RESUMABLE_RECORD": str(folder / "run")}


def checked(folder: Path) -> tuple[int, str]:
    command = [sys.executable, "-m", "resumable.launch", "check", "--quiet", "run"]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    return ended.returncode, ended.stdout


def num_lives(folder: Path) -> int:
    return len(list(folder.glob("run/run/nodes/life-*.jsonl")))


@pytest.mark.parametrize(
    ("script", "how", "code"),
    [
        pytest.param(TASKS, ("7,12",), 0, id="srun python, twice"),
        pytest.param(TASKS, ("7", "careless"), 1, id="srun python, careless"),
        pytest.param(AGENTS, ("7",), 0, id="srun torchrun", marks=pytest.mark.thorough),  # as in the template
        pytest.param(AGENTS, ("7", "careless"), 1, id="srun torchrun, careless", marks=pytest.mark.thorough),
    ],
)
def test_a_requeued_job_is_one_run(slurm: Slurm, tmp_path: Path, script: str, how: tuple[str, ...], code: int) -> None:
    """A rank is killed, the batch script requeues its own job, and all attempts are judged without any other run."""
    job = submitted(slurm, tmp_path, script, *how)
    slurm.wait_for(job)
    num_attempts = 2 + how[0].count(",")
    assert (checked(tmp_path)[0], num_lives(tmp_path)) == (code, num_attempts), checked(tmp_path)


@pytest.mark.parametrize(("how", "code"), RIGHT_AND_CARELESS)
def test_the_template_is_submitted_as_it_is(slurm: Slurm, tmp_path: Path, how: tuple[str, ...], code: int) -> None:
    """`docker/slurm.sbatch` requeues its job when a rank is killed, and needs nothing but a script and its arguments."""
    set_before = {**variables(tmp_path), "PYTHON": sys.executable, "PET_LOCAL_ADDR": "127.0.0.1"}
    job = slurm.run(
        "sbatch", "--parsable", str(TEMPLATE), str(JOB), "work", "7", *how, cwd=tmp_path, **set_before
    ).strip()
    slurm.wait_for(job)
    assert (checked(tmp_path)[0], num_lives(tmp_path)) == (code, 2), checked(tmp_path)


def num_steps(folder: Path) -> int:
    return max((file.read_bytes().count(b'"event":"step"') for file in folder.glob("run/run/events/*")), default=0)


@pytest.mark.parametrize(
    "is_alone", [pytest.param(False, id="node", marks=pytest.mark.thorough), pytest.param(True, id="daemon alone")]
)
@pytest.mark.parametrize(("how", "code"), RIGHT_AND_CARELESS)
def test_a_job_that_loses_a_node_is_one_run(
    slurm: Slurm, tmp_path: Path, how: tuple[str, ...], code: int, *, is_alone: bool
) -> None:
    """It is requeued on other nodes; ranks that only lost the daemon of theirs end with the ranks that they wait for."""
    go_on_without_a_node(slurm, tmp_path, TASKS, *how, tasks=not is_alone)
    assert (checked(tmp_path)[0], num_lives(tmp_path)) == (code, 2), checked(tmp_path)


def go_on_without_a_node(slurm: Slurm, folder: Path, script: str, *how: str, tasks: bool) -> None:
    """A job that waits in mid-training loses its last node, or the daemon there; when it has begun again, it may go on."""
    job = submitted(slurm, folder, script, "-1", "held", *how)
    wait_until(lambda: num_steps(folder) >= HELD_AFTER, timeout_s=TIMEOUT_S)
    with slurm.without_node(slurm.nodes_of(job)[-1], tasks=tasks):
        wait_until(lambda: num_lives(folder) == 2, timeout_s=TIMEOUT_S)
        (folder / "work" / "go").touch()
        slurm.wait_for(job)


@pytest.mark.parametrize(("how", "code"), RIGHT_AND_CARELESS)
def test_a_preempted_job_is_one_run(slurm: Slurm, tmp_path: Path, how: tuple[str, ...], code: int) -> None:
    """A job of a partition that comes first takes its nodes, and it is requeued by Slurm itself."""
    job = submitted(slurm, tmp_path, TASKS, "-1", "slow", *how)
    wait_until(lambda: num_steps(tmp_path) >= 7, timeout_s=TIMEOUT_S)
    slurm.run("srun", "--partition=high", "--nodes=2", "--exclusive", "true", cwd=tmp_path)
    slurm.wait_for(job)
    assert (checked(tmp_path)[0], num_lives(tmp_path)) == (code, 2), checked(tmp_path)


def test_two_lives_at_a_time_are_seen(slurm: Slurm, tmp_path: Path) -> None:
    """The only node of a job loses its daemon: the job is started elsewhere, while its old ranks train on."""
    go_on_without_a_node(slurm, tmp_path, ONE_NODE, tasks=False)
    code, said = checked(tmp_path)
    assert (code, "two lives at a time" in said) == (3, True), said
