"""Kills every planted bug at one step after the other, and shows at which of them it is caught.

`python -m tests.mutants.campaign --every 3` prints a row for each bug, a column for each step: X where the job came out
INVALID, a dot where it is VALID. A bug need not show everywhere: one that loses the epoch is right in epoch 0. Each must
show somewhere, and the job without a bug nowhere.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from launch import Launcher
from launch.job_result import JobResult
from tests.mutants.bugs import BUGS

JOB = Path(__file__).with_name("job.py")
NUM_STEPS = 40
MARKS = {"valid": ".", "invalid": "X", "unknown": "?"}


def row(launcher: Launcher, job: Sequence[str], later: Sequence[str], steps: Sequence[int]) -> str:
    """The marks of one job, killed on rank 1 at each step, and then by the later faults."""
    references: list[JobResult] = [launcher.run(JOB, *job) for _ in range(2)]
    marks = ""
    for step in steps:
        killed = launcher.run(JOB, *job, faults=[f"sigkill@step={step}:rank=1", *later])
        marks += MARKS[killed.check(against=references).outcome]
    return marks


def main() -> int:
    """Show the grid; 0 if every bug was caught somewhere, and the repaired job nowhere."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=3, metavar="STEPS")
    steps = range(0, NUM_STEPS - 1, parser.parse_args().every)
    in_training = [bug for bug in BUGS if bug.faults[0].startswith("sigkill@step")]
    with contextlib.ExitStack() as stack:
        root = stack.enter_context(tempfile.TemporaryDirectory(prefix="resumable-campaign-"))
        launcher = stack.enter_context(Launcher(2, root=root, hang_timeout=5))
        good = row(launcher, ("--bug", BUGS[0].name, "--repaired"), (), steps)
        print(f"{'repaired':24} {good}", flush=True)
        missed = []
        for bug in in_training:
            marks = row(launcher, ("--bug", bug.name, *bug.arguments), bug.faults[1:], steps)
            print(f"{bug.name:24} {marks}", flush=True)
            missed += [bug.name] * ("X" not in marks)
    print(f"{len(in_training) - len(missed)} of {len(in_training)} bugs caught; missed: {', '.join(missed) or 'none'}")
    return int(bool(missed) or set(good) != {"."})


if __name__ == "__main__":
    sys.exit(main())
