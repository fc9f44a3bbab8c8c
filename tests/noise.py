"""Verifies a job whose numbers do not repeat again and again: `python -m tests.noise --num-runs 100`.

Half of the runs lose a part of their state after the restart: each of these must come out as `EXPECTED` says, INVALID by
the check `restored` but for what nobody can know, and each of the others VALID. Every run is drawn from its number alone.
Nodes and references are shared.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from resumable.launch import Launcher
from resumable.launch.api.job_result import JobResult

JOB = str(Path(__file__).parent / "integration/jobs/noisy.py")
FOUND, IN_DOUBT, RIGHT = "invalid by restored", "unknown by restored", "valid"
LOSSES = ("momentum", "bias", "buffer", "scale", "schedule")
EXPECTED = {
    **dict.fromkeys((*LOSSES, "setting", "rate", "frozen", "count", "average"), FOUND),
    **dict.fromkeys(("centre", "generator"), IN_DOUBT),
}
"""By what is lost. The centre is never the same twice, and whether forward passes make such a buffer anew nobody can see,
nor whether anything follows from what steps draw."""
KINDS = ("sigkill", "sigterm(grace=0)", "exit(3)", "exception", "abort")
NUM_STEPS = 24


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """What one run does."""

    faults: tuple[str, ...]
    lost: str | None

    @property
    def arguments(self) -> tuple[str, ...]:
        return () if self.lost is None else ("--lose", self.lost)

    @property
    def expected(self) -> str:
        return RIGHT if self.lost is None else EXPECTED[self.lost]

    def __str__(self) -> str:
        return f"{self.lost or 'nothing'} lost, {' '.join(self.faults)}"


def draw(number: int, world_size: int = 2, losses: Sequence[str] = LOSSES) -> Drawn:
    """Run `number`: one or two kills with a checkpoint before them."""
    draws = random.Random(f"noise/{number}")
    lost = draws.choice(losses) if number % 2 else None
    step = draws.randrange(4, NUM_STEPS - 3)
    faults = [f"{draws.choice(KINDS)}@step={step}:rank={draws.randrange(world_size)}"]
    if draws.random() < 0.3:
        faults.append(f"{draws.choice(KINDS)}@resume+{draws.randrange(3)}:rank={draws.randrange(world_size)}")
    return Drawn(faults=tuple(faults), lost=lost)


def found(
    launcher: Launcher, drawn: Drawn, references: list[JobResult], job: tuple[str, ...] = (JOB,)
) -> tuple[str, str, JobResult]:
    """How it came out, and why."""
    result = launcher.run(*job, *drawn.arguments, faults=drawn.faults)
    verdict = result.check(against=references)
    by_restored = " by restored" if verdict.reason.startswith("restored: ") else ""
    return f"{verdict.outcome}{by_restored}", verdict.reason, result


def told(counts: Counter[tuple[str, bool]]) -> str:
    """How many runs of each kind came out as they should."""
    num_planted = counts["planted", True] + counts["planted", False]
    num_right = counts["right", True] + counts["right", False]
    return (
        f"{counts['planted', True]} of {num_planted} losses found, "
        f"{counts['right', False]} false alarms in {num_right} right runs"
    )


def main() -> int:
    """Run them; 0 if each came out as it should."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num-runs", type=int, default=100)
    parser.add_argument("--first", type=int, default=1, help="number of the first run")
    arguments = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="noise-"))
    counts: Counter[tuple[str, bool]] = Counter()
    with Launcher(2, root=root) as launcher:
        references = [launcher.run(JOB) for _ in range(2)]
        for number in range(arguments.first, arguments.first + arguments.num_runs):
            drawn = draw(number, losses=list(EXPECTED))
            outcome, reason, result = found(launcher, drawn, references)
            is_right = outcome == drawn.expected
            counts["right" if drawn.expected == RIGHT else "planted", is_right] += 1
            print(f"{number:4d} {'ok' if is_right else 'WRONG'}  {drawn}: {outcome} {reason}", flush=True)
            if is_right:
                shutil.rmtree(result.run_dir.root)
    num_wrong = sum(num for (_, is_right), num in counts.items() if not is_right)
    print(told(counts))
    if not num_wrong:
        shutil.rmtree(root)
    return int(num_wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
