"""`resumable run`: what it says of a job's end, and what it leaves behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from launch.history import History, read_history
from launch.rundir import RunDir
from tests.integration.conftest import Finished, Resumable

PRELUDE = """
import os, signal, sys, time
from pathlib import Path
rank = int(os.environ["RANK"])
def await_end_of(other):
    while not Path(f"pid-{other}").exists():
        time.sleep(0.001)
    stat = Path("/proc", Path(f"pid-{other}").read_text(), "stat")
    while stat.exists() and stat.read_text().split()[2] != "Z":
        time.sleep(0.001)
def tell_pid():
    Path("draft").write_text(str(os.getpid()))
    Path("draft").rename(f"pid-{rank}")
"""
TRAINING = """
import os, time, torch
import torch.distributed as dist
from torch.utils.data import DataLoader, TensorDataset
dist.init_process_group("gloo")
model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(1, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for (x,) in DataLoader(TensorDataset(torch.ones(8, 1)), batch_size=2):
    model(x).sum().backward()
    optimizer.step()
    if HANGS and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0" and dist.get_rank() == 1:
        time.sleep(3600)
dist.destroy_process_group()
"""
GOOD, HANGING = f"HANGS = False{TRAINING}", f"HANGS = True{TRAINING}"
LEAVE, LOSE = "sys.exit(9)", "raise RuntimeError('[gloo] Connection closed by peer')"
ENDS = {
    "an exit code": ("sys.exit(7)", LEAVE, 7, "exit code 7"),
    "an exception": ("raise ValueError('on purpose')", LOSE, 1, "ValueError: on purpose"),
    "a signal": ("os.kill(os.getpid(), signal.SIGKILL)", LEAVE, 137, "killed by signal 9 (SIGKILL)"),
}
"""What rank 1 does, what rank 0 does a moment later, and what is said of it."""


def run(resumable: Resumable, folder: Path, source: str, *arguments: str) -> Finished:
    (folder / "train.py").write_text(source)
    return resumable("run", "--nproc-per-node", "2", *arguments, "train.py")


def history(finished: Finished) -> History:
    return read_history(RunDir(root=finished.run_dir).scenario("run"))


@pytest.mark.parametrize("end", sorted(ENDS))
def test_the_first_rank_to_fail_gives_the_exit_code(resumable: Resumable, tmp_path: Path, end: str) -> None:
    """Not one that it dragged along a moment later; it is named, and its words."""
    act, other, code, words = ENDS[end]
    source = f"{PRELUDE}\nif rank == 1:\n    tell_pid()\n    {act}\nawait_end_of(1)\n{other}\n"
    finished = run(resumable, tmp_path, source)
    assert finished.exit_code == code
    assert f"rank 1 failed first in incarnation 0: {words}" in finished.errors
    assert "run/logs/i000/rank1.err" in finished.errors


def test_a_production_run_records_how_its_ranks_begin_and_end(resumable: Resumable, tmp_path: Path) -> None:
    """And nothing else: what costs a training job time is done only where it is asked for."""
    finished = run(resumable, tmp_path, GOOD)
    assert (finished.exit_code, history(finished).damage) == (0, ())
    kinds = [[type(line).__name__ for line in process.records] for process in history(finished).processes]
    assert kinds == [["Start", "Exit"]] * 2
    assert list(finished.run_dir.rglob("*.stacks")) == []


def test_a_planned_death_that_nothing_follows_is_the_end(resumable: Resumable, tmp_path: Path) -> None:
    """The rank that it was done to is named, with the fault and its exit code."""
    faults = ("--fault", "sigkill@step=1:rank=1", "--max-restarts", "0")
    finished = run(resumable, tmp_path, GOOD, *faults)
    assert finished.exit_code == 137
    assert "rank 1 failed by a planned fault in incarnation 0: sigkill@step=1:rank=1" in finished.errors


def test_a_planned_death_that_the_job_survives_is_none(resumable: Resumable, tmp_path: Path) -> None:
    """The agent starts the group again as often as the faults need it."""
    finished = run(resumable, tmp_path, GOOD, "--fault", "sigkill@step=1:rank=1")
    assert (finished.exit_code, history(finished).incarnations) == (0, (0, 1))


def test_a_fault_that_never_fires_is_told(resumable: Resumable, tmp_path: Path) -> None:
    """A job that ended well proves nothing about it."""
    finished = run(resumable, tmp_path, GOOD, "--fault", "sigkill@step=400:rank=1")
    assert finished.exit_code == 3
    assert "a planned fault did not fire\n  sigkill@step=400:rank=1" in finished.errors


def test_a_rank_that_hangs_is_ended_and_the_job_goes_on(resumable: Resumable, tmp_path: Path) -> None:
    """With the stacks of every rank in the run directory."""
    finished = run(resumable, tmp_path, HANGING, "--hang-timeout", "2", "--grace", "2", "--max-restarts", "1")
    assert finished.exit_code == 0, finished.errors
    [hang] = history(finished).hangs
    assert (hang.rank, hang.incarnation) == (1, 0)
    assert [Path(file).name for file in hang.stacks] == ["rank0.stacks", "rank1.stacks"]
    assert 'train.py", line' in (finished.run_dir / hang.stacks[1]).read_text()
