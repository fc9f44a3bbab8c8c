"""The end of a sweep: the grid, the failures by cause, one command that repeats each, and the last line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.console import Console
from rich.text import Text

from resumable.launch.explain.codes.statement import Problem
from resumable.launch.explain.codes.verdicts import SweepIncomplete
from resumable.launch.explain.outcome import Outcome
from resumable.launch.judge.causes import CauseGroup, causes_of
from resumable.launch.judge.results import Results, results_of
from resumable.launch.judge.verdict import Verdict, undecided
from resumable.launch.plan.plan import Plan
from resumable.launch.sweep.alike import NUM_MANY, Alike
from resumable.launch.sweep.grid_text import grid_lines
from resumable.launch.sweep.marks import OUTCOMES
from resumable.launch.system.console import drawing_width, print_indented
from resumable.launch.system.text_safety import printable
from resumable.launch.system.wording import counted

_NUM_NAMED = 8
"""Points of one cause that are named; the grid and `results.json` show all."""


def sweep_results(plan: Plan, verdicts: Mapping[str, Verdict], *, run_dir: str) -> Results:
    """The results of the points that have a verdict; without any the outcome is UNKNOWN."""
    judged = [(point, verdicts[point.name]) for point in plan.points if point.name in verdicts]
    return results_of(plan, judged, run_dir=run_dir)


def render_sweep(plan: Plan, results: Results, console: Console) -> None:
    """Print everything but the last line."""
    marks = {case.scenario: OUTCOMES[case.verdict.outcome] for case in results.cases}
    for line in grid_lines(plan.points, marks, drawing_width(console)):
        console.print(line, highlight=False)
    for words in (*_tails(results), *_alike(plan, results)):
        console.print(words, highlight=False)
    for cause in causes_of(results):
        console.print()
        _print_cause(cause, console)
    console.print()


def sweep_verdict(results: Results, *, is_ended: bool, problem: Problem | None = None) -> Verdict:
    """The verdict on all points together.

    What was left out on purpose, by a sample or a budget, makes it no worse; what an interruption left out does.

    Args:
        results: Of the points that have a verdict.
        is_ended: The sweep was not interrupted; its budget may have run out.
        problem: Why there is no point, if that is so.
    """
    if results.outcome is Outcome.VALID and is_ended:
        return Verdict(outcome=Outcome.VALID, reason="", scenario="sweep", incarnations=(), fired_faults=(), checks=())
    if not results.cases:
        return undecided("sweep", problem or SweepIncomplete(what="no point was run"))
    if results.outcome is Outcome.VALID:
        return undecided("sweep", SweepIncomplete(what="the sweep was interrupted"))
    first = causes_of(results)[0].cases[0].verdict
    return Verdict(
        outcome=first.outcome,
        reason=first.reason,
        cause=first.cause,
        scenario="sweep",
        incarnations=(),
        fired_faults=(),
        checks=(),
    )


def last_line(verdict: Verdict, plan: Plan, results: Results) -> str:
    """One line: the outcome, how many points it stands on, and how many were left out."""
    parts = [f"{num} {outcome.upper()}" for outcome, num in _counts(results).items() if num]
    is_told = verdict.reason and (not results.cases or verdict.outcome is not results.outcome)
    words = [*([verdict.reason] if is_told else []), *([", ".join(parts)] if parts else []), *_left_out(results)]
    return printable(f"{verdict.outcome.upper()}: {'; '.join(words)}")


def _tails(results: Results) -> Iterator[str]:
    """How far the points of chains were followed; nothing if there were none."""
    chained = [case.verdict for case in results.cases if case.verdict.chain]
    num_cut = sum(verdict.until is not None for verdict in chained)
    if chained:
        num_whole = len(chained) - num_cut
        yield f"in chains: {counted(num_cut, 'point')} followed up to the next fault, {num_whole} to the end of the job"


def _alike(plan: Plan, results: Results) -> Iterator[str]:
    """How many points would have told only what others did."""
    verdicts = {case.scenario: case.verdict for case in results.cases}
    if num := len(Alike(plan.points, verdicts, num_many=NUM_MANY).between()):
        yield f"between failures with one cause: {counted(num, 'point')} not run (--all-failures runs them)"


def _counts(results: Results) -> dict[Outcome, int]:
    counts = results.counts
    return {Outcome.VALID: counts.valid, Outcome.INVALID: counts.invalid, Outcome.UNKNOWN: counts.unknown}


def _left_out(results: Results) -> Iterator[str]:
    if results.num_points is None:
        return
    if results.drawn:
        yield f"{results.drawn} were drawn"
    if results.left_out:
        yield f"{len(results.left_out)} not run"


def _print_cause(cause: CauseGroup, console: Console) -> None:
    mark = OUTCOMES[cause.outcome]
    console.print(Text(f"{mark.meaning}: {counted(len(cause.cases), 'point')}", style=mark.style), highlight=False)
    print_indented(console, Text(printable(cause.reason)), indent=2)
    if cause.advice:
        print_indented(console, Text(printable(cause.advice)), head=Text("  to do: "), indent=9)
    named = [case.name for case in cause.cases[:_NUM_NAMED]]
    hidden = len(cause.cases) - len(named)
    more = f" and {hidden} more" if hidden else ""
    print_indented(console, Text(printable(f"{', '.join(named)}{more}"), style="dim"), indent=2)
    console.print(f"  repeat: {printable(cause.cases[0].repeat)}", markup=False, highlight=False, soft_wrap=True)
