"""What is measured, each in processes of its own as a user would start them."""

from __future__ import annotations

import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

from resumable.launch.evidence.history_reader import read_history
from resumable.launch.evidence.run_dir import RunDir
from tests.benchmarks.launch.phases import Phases, end_ns, mean, phases_of

JOB = str(Path(__file__).parents[3] / "launch" / "jobs" / "digits.py")
_TIMEOUT_S = 1800


def sweep_s(run_dir: Path, num_ranks: int, *arguments: str) -> float:
    """Seconds that a sweep of the built-in job takes, its start and its references included.

    Raises:
        subprocess.CalledProcessError: not every point was VALID.
    """
    words = [
        "-m",
        "resumable.launch",
        "sweep",
        "--quiet",
        "--run-dir",
        str(run_dir),
        "--nproc-per-node",
        str(num_ranks),
    ]
    return _timed([sys.executable, *words, *arguments])


def growing_sweep_s(folder: Path, num_steps: int) -> float:
    """Seconds that a sweep over 40 points of a job takes, chained, if the job has so many steps: tens of them.

    Raises:
        subprocess.CalledProcessError: not every point was VALID.
    """
    ten_steps_an_epoch = ["-m", "resumable.launch.jobs.digits", "--batch-size", "8", "--num-samples", "160"]
    return sweep_s(folder, 2, "--sample", "40", *ten_steps_an_epoch, "--epochs", str(num_steps // 10))


def mean_phases(run_dir: Path) -> Phases:
    """Where the time of a point goes, over the points of a sweep with one job at a time, the first excepted."""
    made = RunDir(root=run_dir)
    histories = [read_history(made.scenario(point.name)) for point in made.read_plan().points]
    return mean([phases_of(history, after_ns=end_ns(before)) for before, history in pairwise(histories)])


def two_cold_starts_s(folder: Path, num_ranks: int) -> float:
    """Seconds that plain torchrun takes for the same training in two starts: the second goes on where the first ended."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(num_ranks)]
    job = [JOB, "--checkpoints", str(folder / f"checkpoints-{num_ranks}")]
    return sum(_timed([*torchrun, *job, "--epochs", epochs], last_words="trained ") for epochs in ("1", "4"))


def _timed(command: list[str], *, last_words: str | None = None) -> float:
    """Seconds that a command takes.

    With `last_words` a failure after they were printed is none: now and then gloo aborts a rank that is done, at the end of
    its interpreter.
    """
    begin = time.perf_counter()
    ended = subprocess.run(
        command, check=False, timeout=_TIMEOUT_S, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    took_s = time.perf_counter() - begin
    if last_words is None or last_words not in ended.stdout:
        ended.check_returncode()
    return took_s
