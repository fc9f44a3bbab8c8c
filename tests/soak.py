"""Verifies the built-in job again and again, each time under other faults: `python -m tests.soak --num-runs 50`.

Every run is drawn from its number alone, so that a run that fails can be repeated by its command, which is printed. The
job is correct, so everything but VALID is a fault of the rig; so is a process, a piece of shared memory or a temporary file
that is left in the end, told from those of other programs by the folder for temporary files. Nodes stay warm from run to
run; with `--cold` every run is a command of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from resumable.launch import Launcher
from resumable.launch.api.job_result import JobResult

NUM_RANKS = (2, 3, 4)
NUM_SAMPLES, NUM_FEWER_SAMPLES, BATCH_SIZE = 1437, 1003, 36
NUM_EPOCHS, SAVE_EVERY = 4, 5
ENDS = ("sigkill", "sigkill", "sigterm(grace=20)", "sigterm(grace=0)", "sigint", "exit(3)", "exception", "abort")
DAMAGES = ("torn", "torn(keep=0)", "corrupt")
SAVE_ERRORS = ("diskfull", "ioerror")
KINDS = (*ENDS, *DAMAGES, *SAVE_ERRORS, "hang", "sigstop", "loaderkill")
FEWER = ("--num-samples", str(NUM_FEWER_SAMPLES))
VARIANTS = ((), (), ("--drop-last",), ("--no-shuffle",), FEWER)
WORKERS = ("--workers", "2")
TEMPORARIES = ("resumable-*", "pytorch-errorfile-*", "pymp-*")


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """What one run does."""

    num_ranks: int
    faults: tuple[str, ...]
    job: tuple[str, ...]
    """Arguments of the built-in job."""

    @property
    def command(self) -> list[str]:
        """The command line that does the same."""
        options = [word for fault in self.faults for word in ("--fault", fault)]
        return [
            "verify",
            "--nproc-per-node",
            str(self.num_ranks),
            *options,
            "-m",
            "resumable.launch.jobs.digits",
            *self.job,
        ]


def draw(number: int) -> Drawn:
    """Run `number`: ranks, one or two faults, a variant of the job."""
    draws = random.Random(f"soak/{number}")
    num_ranks, variant, kind = draws.choice(NUM_RANKS), draws.choice(VARIANTS), draws.choice(KINDS)
    # In the first half of training, so that the resume has something to prove.
    epoch_length = steps_an_epoch(num_ranks, variant)
    step = draws.randrange(NUM_EPOCHS * epoch_length // 2)
    faults = [f"{kind}@{draw_first(draws, kind, divmod(step, epoch_length), step, num_ranks)}"]
    if draws.random() < 0.5:
        faults.append(f"{draws.choice(ENDS)}@{draw_later(draws, step, num_ranks)}")
    workers = WORKERS if kind == "loaderkill" or draws.random() < 0.2 else ()
    return Drawn(num_ranks=num_ranks, faults=tuple(faults), job=(*variant, *workers))


def steps_an_epoch(num_ranks: int, variant: tuple[str, ...]) -> int:
    """Optimizer steps of one epoch of the built-in job."""
    num_samples = NUM_FEWER_SAMPLES if variant == FEWER else NUM_SAMPLES
    return -(-num_samples // (num_ranks * BATCH_SIZE))


def draw_first(draw: random.Random, kind: str, batch: tuple[int, int], step: int, num_ranks: int) -> str:
    """A moment that this kind can have, at about this step, and whom it hits; rank 0 alone saves.

    Args:
        draw: The draws of this run.
        kind: What is done.
        batch: Epoch of the step, and its batch of that epoch.
        step: Since training began.
        num_ranks: Of the job.
    """
    number = step // SAVE_EVERY
    if kind in SAVE_ERRORS:
        return f"save#{number}:rank=0"
    if kind in DAMAGES:
        return draw.choice((f"save#{number}:rank=0", f"step={step + SAVE_EVERY}:rank=0"))
    save = f"save#{number}+{draw.choice(('before', 'during', 'after'))}:rank=0"
    moments = (f"step={step}", f"batch={step}", f"epoch={batch[0]},batch={batch[1]}")
    return draw.choice((save, *(f"{moment}:{draw_who(draw, num_ranks)}" for moment in moments)))


def draw_later(draw: random.Random, step: int, num_ranks: int) -> str:
    """A moment of the restart, and whom it hits; rank 0 alone reads a checkpoint, where there is a whole one."""
    resume = f"resume+{draw.randrange(6)}:{draw_who(draw, num_ranks)}"
    return draw.choice((resume, "load#0:rank=0")) if step >= 2 * SAVE_EVERY else resume


def draw_who(draw: random.Random, num_ranks: int) -> str:
    """One drawn rank, or all."""
    return draw.choice((f"rank={draw.randrange(num_ranks)}",) * 2 + ("rank=all",))


class WarmRig:
    """Runs on nodes that stay, against references that are made once for each variant of the job."""

    def __init__(self, root: Path, nodes: contextlib.ExitStack) -> None:
        self._launchers = {num: nodes.enter_context(Launcher(num, root=root)) for num in NUM_RANKS}
        self._references: dict[tuple[int, tuple[str, ...]], list[JobResult]] = {}

    def verify(self, drawn: Drawn) -> tuple[bool, str]:
        """Whether it came out VALID, and what was said."""
        launcher, key = self._launchers[drawn.num_ranks], (drawn.num_ranks, drawn.job)
        if key not in self._references:
            self._references[key] = [launcher.run(None, *drawn.job) for _ in range(2)]
        result = launcher.run(None, *drawn.job, faults=drawn.faults)
        verdict = result.check(against=self._references[key])
        if verdict.outcome == "valid":
            shutil.rmtree(result.run_dir.root)
        return verdict.outcome == "valid", f"{verdict.outcome}: {verdict.reason}\nevidence in {result.run_dir.root}"


def verify_cold(drawn: Drawn) -> tuple[bool, str]:
    """The same as a command of its own."""
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        name, *words = drawn.command
        launch = [sys.executable, "-m", "resumable.launch", name, "--quiet", "--run-dir", f"{folder}/run", *words]
        ended = subprocess.run(launch, capture_output=True, text=True, check=False, cwd=folder)
    return ended.returncode == 0, ended.stdout + ended.stderr


def left_of(folder: Path) -> set[str]:
    """Of commands that had this folder for temporary files: processes and temporary files that are still there."""
    left = {f"temporary {path}" for name in TEMPORARIES for path in folder.glob(name)}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("TMPDIR") == str(folder):
                left.add(f"process {process.pid}: {shlex.join(process.cmdline())}")
    return left


def unused_memory() -> set[str]:
    """Shared memory that no process has mapped; what other programs of this machine use is none of ours."""
    named = set(Path("/dev/shm").iterdir())
    used: set[str] = set()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            used |= {part.path for part in process.memory_maps()}
    return {f"shared memory {path}" for path in named if str(path) not in used and path.exists()}


def run_all(numbers: Iterable[int], *, is_cold: bool) -> int:
    """Carry out these runs and print a line for each; returns how many were not VALID."""
    num_failures = 0
    root = Path(tempfile.mkdtemp(prefix="evidence-"))
    with contextlib.ExitStack() as nodes:
        verify = verify_cold if is_cold else WarmRig(root, nodes).verify
        for number in numbers:
            drawn = draw(number)
            is_good, words = verify(drawn)
            num_failures += not is_good
            print(f"{number:4d} {'VALID' if is_good else 'FAILED'}  resumable {shlex.join(drawn.command)}", flush=True)
            if not is_good:
                print(words, flush=True)
    return num_failures


def main() -> int:
    """Run them; 0 if every one was VALID and all together left nothing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num-runs", type=int, default=50)
    parser.add_argument("--first", type=int, default=1, help="number of the first run")
    parser.add_argument("--cold", action="store_true", help="every run is a command of its own")
    parser.add_argument("--watched", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.watched:
        numbers = range(arguments.first, arguments.first + arguments.num_runs)
        num_failures = run_all(numbers, is_cold=arguments.cold)
        print(f"{arguments.num_runs - num_failures} of {arguments.num_runs} VALID", flush=True)
        return int(num_failures > 0)
    folder, before = Path(tempfile.mkdtemp(prefix="soak-")), unused_memory()
    command = [sys.executable, "-m", "tests.soak", *sys.argv[1:], "--watched"]
    ended = subprocess.run(command, env={**os.environ, "TMPDIR": str(folder)}, check=False)
    left = left_of(folder) | (unused_memory() - before)
    if not ended.returncode:
        shutil.rmtree(folder)
    print(f"left behind: {sorted(left) or 'nothing'}")
    return int(ended.returncode != 0 or bool(left))


if __name__ == "__main__":
    sys.exit(main())
