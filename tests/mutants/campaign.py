"""Sweeps jobs with planted bugs: `python -m tests.mutants.campaign [--every N] [--no-chain | --compare] [BUG]...`.

Every rank is killed after every step (or every N-th), in chains, in runs of their own, or in both ways, one after the other.
Each bug must come out INVALID at all points where it shows, and VALID at all others; which these are `tests.mutants.oracle`
and the rules below say, from the steps at which the fault came and the job resumed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from resumable.launch.judge.results import Case, Results
from resumable.launch.plan.fault_grammar import parse_fault
from tests.mutants import planted
from tests.mutants.oracle import EPOCH_LENGTH, NUM_RANKS, NUM_STEPS, shows_in_sampler

JOB = Path(__file__).parent / "job.py"
SAVE_EVERY = 2


class CampaignError(Exception):
    """A sweep did not come to its end."""


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
    steps: range = range(NUM_STEPS)
    """After which of them it is looked for; every N-th where that is asked for."""
    at: str = ""
    """Moments in place of steps."""
    options: tuple[str, ...] = field(default=())
    """Further ones of the sweep."""

    def __str__(self) -> str:
        return " ".join((self.bug, *self.arguments))

    def command(self, *, every: int, chain: bool, folder: Path) -> list[str]:
        """The sweep as a user starts it; one point of every cause is enough to see that it holds on plain processes."""
        how = "--chain" if chain else "--no-chain"
        at = self.at or ",".join(map(str, self.steps[::every]))
        where = (how, "--at", at, "--kinds", self.kinds, *self.options)
        files = ("--run-dir", str(folder / "run"), "--json", str(folder / "results.json"))
        settings = (
            "--quiet",
            "--nproc-per-node",
            str(NUM_RANKS),
            "--hang-timeout",
            "3",
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
    Sweep(bug="scheduler-forgotten", steps=range(37), shows=lambda _, at: at > 0),
    Sweep(bug="average-forgotten", steps=range(37), shows=lambda _, at: at > 0),
    Sweep(bug="statistics-forgotten", shows=lambda _, at: at > 0),
    # The first checkpoint is that of two steps, which the third step shows to be whole.
    Sweep(bug="checkpoint-ignored", steps=range(2, 40), shows=lambda *_: True),
    Sweep(bug="newest-blindly", kinds="torn,corrupt", options=("--ranks", "0"), shows=lambda *_: True),
    Sweep(bug="overwriting", at=DURING, shows=lambda *_: True),
    # Before the second save there was no whole checkpoint that could be lost.
    Sweep(bug="overwriting-beginning-anew", at=DURING, shows=lambda number, _: number > 0),
    Sweep(bug="stop-is-success", kinds="sigterm(grace=20)", steps=range(38), shows=lambda *_: True),
    Sweep(bug="notice-ignored", kinds="preempt(grace=20)", steps=range(2, 38), shows=lambda step, at: at < step + 1),
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


def cases_of(sweep: Sweep, *, every: int, chain: bool) -> tuple[Case, ...]:
    """Carry out one sweep; returns its points in the order of their names.

    Raises:
        CampaignError: it has left no results, or none of any point.
    """
    with tempfile.TemporaryDirectory(prefix="campaign-") as folder:
        command = sweep.command(every=every, chain=chain, folder=Path(folder))
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        results_file = Path(folder) / "results.json"
        results = msgspec.json.decode(results_file.read_bytes(), type=Results) if results_file.exists() else None
    if results is None or not results.cases:
        raise CampaignError(f"no point was run, exit code {ended.returncode}: {ended.stdout}{ended.stderr}")
    return tuple(sorted(results.cases, key=lambda case: case.name))


def run(sweep: Sweep, *, every: int, ways: Sequence[bool]) -> list[str]:
    """Carry out one sweep in each of these ways (chained or not) and print what came of it; returns the problems."""
    problems: list[str] = []
    found: list[dict[str, Case]] = []
    for chain in ways:
        way = "chained" if chain else "alone"
        try:
            cases = cases_of(sweep, every=every, chain=chain)
        except CampaignError as error:
            return [*problems, f"{sweep}, {way}: {error}"]
        wrong = [f"{sweep}, {way}: {words}" for case in cases if (words := problem(sweep, case))]
        outcomes = Counter(str(case.verdict.outcome) for case in cases)
        told = ", ".join(f"{outcomes[outcome]:3} {outcome.upper()}" for outcome in ("invalid", "valid", "unknown"))
        is_right = f"{len(wrong)} WRONG" if wrong else "as it must be"
        print(f"{sweep!s:36} {way:8} {len(cases):4} points: {told}: {is_right}", flush=True)
        problems += wrong
        found.append({case.name: case for case in cases})
    differing = [f"{sweep}: {words}" for other in found[1:] for words in differences(found[0], other)]
    print("".join(f"  {words}\n" for words in differing), end="", flush=True)
    return problems + differing


def differences(chained: Mapping[str, Case], alone: Mapping[str, Case]) -> Iterator[str]:
    """The points on which two sweeps differ, each with both verdicts and the step at which the job resumed."""
    for name in sorted(chained.keys() | alone.keys()):
        both = (chained.get(name), alone.get(name))
        if len({case.verdict.outcome if case else None for case in both}) > 1:
            yield f"{name}: " + ", alone ".join(
                f"{case.verdict.outcome} (resumed at step {resumed_at(case)}: {case.verdict.reason})"
                if case
                else "none"
                for case in both
            )


def main() -> int:
    """Sweep them; 0 if every verdict on every point is as it must be, and the same in both ways."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bugs", nargs="*", metavar="BUG", help="default: all")
    parser.add_argument("--every", type=int, default=1, help="kill after every N-th step only")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--no-chain", action="store_true", help="give each point a run of its own")
    how.add_argument("--compare", action="store_true", help="sweep chained, then without, and compare point by point")
    arguments = parser.parse_args()
    ways = (True, False) if arguments.compare else (not arguments.no_chain,)
    chosen = [sweep for sweep in SWEEPS if not arguments.bugs or sweep.bug in arguments.bugs]
    problems = [words for sweep in chosen for words in run(sweep, every=arguments.every, ways=ways)]
    print("\n".join(problems))
    return int(bool(problems) or not chosen)


if __name__ == "__main__":
    sys.exit(main())
