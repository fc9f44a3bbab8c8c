"""Sweeps jobs with planted bugs: `python -m tests.mutants.campaign [--every N] [--chain] [BUG]...`.

Every rank is killed after every step (or every N-th), in runs of their own, or in chains. Each bug must come out INVALID at
all points where it shows, and VALID at all others; which these are `tests.mutants.oracle` and the rules below say, from the
steps at which the fault came and the job resumed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from resumable.launch.judge.results import Case, Results
from resumable.launch.plan.fault_grammar import parse_fault
from tests.mutants import planted
from tests.mutants.oracle import EPOCH_LENGTH, NUM_RANKS, NUM_STEPS, shows_in_sampler

JOB = Path(__file__).parent / "job.py"
SAVE_EVERY = 2

Rule = Callable[[int, int], bool]
"""From the number of the step, or of the save, at which the fault came and the step at which the job resumed."""


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """One bug and how it is looked for."""

    bug: str
    shows: Rule
    arguments: tuple[str, ...] = ()
    """Further arguments of the job."""
    kinds: str = "sigkill"
    at: str = ""
    """"" for every step, or every N-th."""
    options: tuple[str, ...] = field(default=())
    """Further ones of the sweep."""

    def command(self, *, every: int, chain: bool, folder: Path) -> list[str]:
        """The sweep as a user starts it; one point of every cause is enough to see that it holds on plain processes."""
        how = "--chain" if chain else "--no-chain"
        where = (how, "--at", self.at or f"every:{every}", "--kinds", self.kinds, *self.options)
        files = ("--run-dir", str(folder / "run"), "--json", str(folder / "results.json"))
        settings = (
            "--quiet",
            "--nproc-per-node",
            str(NUM_RANKS),
            "--hang-timeout",
            "3",
            "--confirm",
            "cause",
            "--all-failures",
        )
        job = (str(JOB), "--bug", self.bug, *self.arguments)
        return [sys.executable, "-m", "resumable.launch", "sweep", *settings, *where, *files, *job]


def in_sampler(bug: str, kind: type[planted.ShardSampler], *arguments: str) -> Sweep:
    """A bug of the sampler shows where the sampler, played through, leaves the right order."""
    is_dropping = "--drop-last" in arguments
    return Sweep(bug=bug, arguments=arguments, shows=lambda _, at: shows_in_sampler(kind, at, drop_last=is_dropping))


SAVES = ",".join(f"save#{number}+{part}" for number in range(0, 19, 3) for part in ("before", "during", "after"))
DURING = ",".join(f"save#{number}+during" for number in range(0, 19, 2))

SWEEPS = (
    Sweep(bug="batch-skipped", arguments=("--repaired",), shows=lambda *_: False),
    Sweep(bug="overwriting", arguments=("--repaired",), at=SAVES, shows=lambda *_: False),
    in_sampler("sticky-start", planted.StickyStart),
    in_sampler("epoch-late", planted.EpochLate),
    in_sampler("epoch-early", planted.EpochEarly),
    in_sampler("epoch-zero-order", planted.EpochZeroOrder),
    in_sampler("epoch-restarted", planted.EpochRestarted),
    in_sampler("empty-after-border", planted.EmptyAfterBorder),
    in_sampler("skip-in-samples", planted.SkipInSamples),
    in_sampler("seed-ignored", planted.SeedIgnored),
    in_sampler("same-order", planted.SameOrderEveryEpoch),
    in_sampler("padded-from-remainder", planted.PaddedFromRemainder),
    in_sampler("rank-zero-for-all", planted.RankZeroForAll),
    in_sampler("no-permutation", planted.NoPermutation),
    in_sampler("drop-last-forgotten", planted.DropLastForgotten, "--drop-last"),
    in_sampler("batch-replayed", planted.BatchReplayed),
    in_sampler("batch-skipped", planted.BatchSkipped),
    in_sampler("only-rank-zero-resumes", planted.OnlyRankZeroResumes),
    # The first kill leads back to step 20, in the middle of the epoch that ends with step 24. What is saved between the two
    # counts from 20 on.
    Sweep(bug="second-resume", at="resume+1,resume+3,resume+5,resume+9", shows=lambda _, at: 20 < at <= 24),
    # Two workers read up to four batches ahead, but never over the end of an epoch.
    Sweep(bug="read-ahead", arguments=("--workers", "2"), shows=lambda _, at: at % EPOCH_LENGTH > 0),
    Sweep(bug="optimizer-forgotten", shows=lambda _, at: at > 0),
    # What is saved last shows it too.
    # The first step has the learning rate that the optimizer kept; the last one has no second.
    Sweep(bug="scheduler-forgotten", at="0-36", shows=lambda _, at: at > 0),
    Sweep(bug="average-forgotten", at="0-36", shows=lambda _, at: at > 0),
    Sweep(bug="statistics-forgotten", shows=lambda _, at: at > 0),
    # The first checkpoint is that of two steps, which the third step shows to be whole.
    Sweep(bug="checkpoint-ignored", at="2-39", shows=lambda *_: True),
    Sweep(bug="newest-blindly", kinds="torn,corrupt", options=("--ranks", "0"), shows=lambda *_: True),
    Sweep(bug="overwriting", at=DURING, shows=lambda *_: True),
    # Before the second save there was no whole checkpoint that could be lost.
    Sweep(bug="overwriting-beginning-anew", at=DURING, shows=lambda number, _: number > 0),
    Sweep(bug="stop-is-success", kinds="sigterm(grace=20)", at="0-37", shows=lambda *_: True),
    Sweep(bug="notice-ignored", kinds="preempt(grace=20)", at="2-37", shows=lambda step, at: at < step + 1),
)


def resumed_at(case: Case) -> int | None:
    """The step at which the last incarnation began to train; None if it never did."""
    return case.verdict.incarnations[-1].first_step if len(case.verdict.incarnations) > 1 else None


def problem(sweep: Sweep, case: Case) -> str:
    """What is wrong with the verdict on a point; "" if it is as it must be."""
    outcome, at = case.verdict.outcome, resumed_at(case)
    number = parse_fault(case.faults[-1]).when.numbers[0]
    if at is None and outcome in {"unknown", "valid"} and number == NUM_STEPS - 1:
        return ""  # all was done and saved
    newest = (number + 1) // SAVE_EVERY * SAVE_EVERY
    possible = (at,) if at is not None else (newest - SAVE_EVERY, newest)
    expected = {"invalid" if sweep.shows(number, max(0, step)) else "valid" for step in possible}
    if outcome in expected:
        return ""
    return f"{case.name}, resumed at step {at}: {outcome}, expected {' or '.join(expected)}: {case.verdict.reason}"


def run(sweep: Sweep, *, every: int, chain: bool) -> list[str]:
    """Carry out one sweep and say what came of it; returns the problems."""
    with tempfile.TemporaryDirectory(prefix="campaign-") as folder:
        ended = subprocess.run(
            sweep.command(every=every, chain=chain, folder=Path(folder)), capture_output=True, text=True, check=False
        )
        results_file = Path(folder) / "results.json"
        if not results_file.exists():
            return [f"{sweep.bug}: exit code {ended.returncode}: {ended.stdout}{ended.stderr}"]
        results = msgspec.json.decode(results_file.read_bytes(), type=Results)
    problems = [f"{sweep.bug}: {words}" for case in results.cases if (words := problem(sweep, case))]
    counts = results.counts
    told = f"{counts.invalid} INVALID, {counts.valid} VALID, {counts.unknown} UNKNOWN"
    is_right = "as it must be" if not problems and results.cases else f"{len(problems)} WRONG"
    print(f"{' '.join((sweep.bug, *sweep.arguments)):32} {len(results.cases):4} points: {told}: {is_right}", flush=True)
    return problems if results.cases else [*problems, f"{sweep.bug}: no point was run: {ended.stdout}"]


def main() -> int:
    """Sweep them; 0 if every verdict on every point is as it must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bugs", nargs="*", metavar="BUG", help="default: all")
    parser.add_argument("--every", type=int, default=1, help="kill after every N-th step only")
    parser.add_argument("--chain", action="store_true", help="kill one job again and again")
    arguments = parser.parse_args()
    chosen = [sweep for sweep in SWEEPS if not arguments.bugs or sweep.bug in arguments.bugs]
    problems = [words for sweep in chosen for words in run(sweep, every=arguments.every, chain=arguments.chain)]
    print("\n".join(problems))
    return int(bool(problems) or not chosen)


if __name__ == "__main__":
    sys.exit(main())
