"""`resumable run`: what it says of a job's end, and what it leaves behind."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from resumable.launch.evidence.history import History
from resumable.launch.evidence.history_reader import read_history
from resumable.launch.evidence.run_dir import RunDir
from tests.integration.conftest import Finished, Resumable
from tests.integration.waiting import wait_until

PRELUDE = """
import contextlib, os, signal, sys, time
from pathlib import Path
rank = int(os.environ["RANK"])
def await_end_of(other):
    while not Path(f"pid-{other}").exists():
        time.sleep(0.001)
    stat = Path("/proc", Path(f"pid-{other}").read_text(), "stat")
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        while stat.read_text().split()[2] != "Z":
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


def run_until(resumable: Resumable, folder: Path, end: str) -> Finished:
    """A job whose rank 1 ends so."""
    act, other, *_ = ENDS[end]
    return run(resumable, folder, f"{PRELUDE}\nif rank == 1:\n    tell_pid()\n    {act}\nawait_end_of(1)\n{other}\n")


@pytest.mark.parametrize("end", ["an exit code", "a signal"])
def test_the_first_rank_to_fail_gives_the_exit_code(resumable: Resumable, tmp_path: Path, end: str) -> None:
    """Not one that it dragged along a moment later; it is named, and its words."""
    finished = run_until(resumable, tmp_path, end)
    *_, code, words = ENDS[end]
    assert finished.exit_code == code
    assert f"rank 1 failed first in incarnation 0: {words}" in finished.errors
    assert "run/logs/i000/rank1.err" in finished.errors


def test_the_caller_gets_the_error_of_the_rank_that_failed_first(
    resumable: Resumable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the file that it names, as from torchrun; and all that is said of other ends."""
    error_file = tmp_path / "error.json"
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(error_file))
    finished = run_until(resumable, tmp_path, "an exception")
    *_, code, words = ENDS["an exception"]
    assert (finished.exit_code, words in json.loads(error_file.read_text())["message"]["message"]) == (code, True)
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
    assert "the job succeeded\n  sigkill@step=1:rank=1: rank 1 of incarnation 0, 2 steps done" in finished.errors


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


def test_a_rank_may_spawn_processes_of_its_own(resumable: Resumable, tmp_path: Path) -> None:
    """With the start method that makes new interpreters: loader workers, or actors that fill a queue."""
    (tmp_path / "train.py").write_text("""
import multiprocessing, operator
if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply_async(operator.add, (1, 2)).get(timeout=60) == 3
""")
    ended = resumable("run", "--nproc-per-node", "1", "train.py")
    assert ended.exit_code == 0, ended.errors


@pytest.mark.parametrize("method", ["forkserver", "subprocess"])
def test_a_rank_reads_what_the_command_is_given(tmp_path: Path, method: str) -> None:
    """As under torchrun; a program that the script starts finds the rest of it."""
    (tmp_path / "train.py").write_text(
        "import subprocess\nprint('first', input(), flush=True)\nsubprocess.run(['cat'])\n"
    )
    ended = subprocess.run(
        [sys.executable, "-m", "resumable.launch", "run", "--start-method", method, "train.py"],
        cwd=tmp_path,
        input="one\n",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (0, "[default0]:first one\n"), ended.stderr


@pytest.mark.parametrize(
    ("signum", "arguments"),
    [
        (signal.SIGINT, ()),
        (signal.SIGUSR1, ("--signals-to-handle", "SIGTERM,SIGUSR1", "--start-method", "subprocess")),
    ],
)
def test_the_ranks_get_the_signal_that_came(tmp_path: Path, signum: signal.Signals, arguments: tuple[str, ...]) -> None:
    """They may save a checkpoint because of one, and leave at once because of another."""
    (tmp_path / "train.py").write_text(f"""
import pathlib, signal, time
def leave(signum, frame):
    pathlib.Path("got").write_text(str(signum))
    raise SystemExit
signal.signal({signum}, leave)
pathlib.Path("ready").touch()
time.sleep(60)
""")
    command = subprocess.Popen(
        [sys.executable, "-m", "resumable.launch", "run", *arguments, "train.py"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    with command:
        wait_until((tmp_path / "ready").exists, timeout_s=60)
        command.send_signal(signum)
        _, errors = command.communicate(timeout=60)
    assert (command.returncode, (tmp_path / "got").read_text()) == (128 + signum, str(int(signum)))
    assert f"interrupted by {signum.name}" in errors


def test_launchers_with_node_ranks_meet_on_one_machine(tmp_path: Path) -> None:
    """Each starts its own node, whose rank is the one that it was given, whoever comes first."""
    (tmp_path / "train.py").write_text("""
import os, torch.distributed as dist
dist.init_process_group("gloo")
dist.barrier()  # who leaves at once may leave while the other still connects
print(os.environ["GROUP_RANK"], dist.get_world_size())
dist.destroy_process_group()
""")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    meeting = ("--nnodes", "2", "--rdzv-backend", "static", "--master-addr", "127.0.0.1", "--master-port", str(port))
    with contextlib.ExitStack() as running:
        launchers = [
            running.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "resumable.launch", "run", *meeting, "--node-rank", rank, "train.py"],
                    cwd=tmp_path,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for rank in "10"
        ]
        outputs = [launcher.communicate(timeout=120)[0] for launcher in launchers]
    assert outputs == ["[default0]:1 2\n", "[default0]:0 2\n"]


@pytest.mark.parametrize(("seed", "num_seeds"), [("random", 2), ("7", 1)])
def test_a_restart_has_a_hash_seed_of_its_own(
    resumable: Resumable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: str, num_seeds: int
) -> None:
    """As under torchrun, so that what goes by the order of a set goes another way; not where the user has fixed it."""
    monkeypatch.setenv("PYTHONHASHSEED", seed)
    source = """
import os
with open("hashes", "a") as hashes:
    print(hash("a text"), file=hashes)
raise SystemExit(os.environ["TORCHELASTIC_RESTART_COUNT"] == "0")
"""
    (tmp_path / "train.py").write_text(source)
    finished = resumable("run", "--nproc-per-node", "1", "--max-restarts", "1", "train.py")
    assert finished.exit_code == 0, finished.errors
    assert len(set((tmp_path / "hashes").read_text().split())) == num_seeds
