"""A verdict for a person at a terminal, readable at 80 columns and without colour."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.explain.check_result import Violation
from resumable.launch.explain.codes.ends import SeeLog
from resumable.launch.explain.codes.references import ReferenceFailed
from resumable.launch.explain.codes.state_reasons import (
    FollowsFromBatches,
    FollowsFromParameters,
)
from resumable.launch.explain.outcome import Outcome
from resumable.launch.judge.verdict import Verdict
from resumable.launch.plan.plan import Plan
from resumable.launch.reading.failures import FaultEvent
from resumable.launch.report.batches import marked_difference, shortened
from resumable.launch.report.story import Difference, Following, story_of
from resumable.launch.sweep.marks import mark_of
from resumable.launch.system.console import drawing_width, print_indented
from resumable.launch.system.safe_io import last_lines
from resumable.launch.system.text_safety import printable
from resumable.launch.system.wording import counted, place

MAX_FOLLOWING = 3
"""Further violations of one check that are named."""
MAX_LOG_LINES = 12
"""Of the log of a rank that failed by itself."""


def render(verdict: Verdict, plan: Plan, run_dir: RunDir, console: Console) -> None:
    """Print a verdict: what ran, which faults came, what each check found; then what `explain` does."""
    if _own_failure(verdict) is None:
        _print_findings(verdict, plan, console)
        console.print()
    explain(verdict, run_dir, console)


def explain(verdict: Verdict, run_dir: RunDir, console: Console) -> None:
    """Print what is wrong, where it stands, and what to do: of a verdict what a person needs first."""
    own_failure, story = _own_failure(verdict), story_of(verdict)
    if own_failure is not None:
        _print_own_failure(own_failure, run_dir, console)
    if story.first is None or own_failure is not None:
        _print_sentence(verdict, verdict.reason, console)
        _print_advice(verdict.advice, console)
    else:
        _print_first(story.first, verdict, run_dir, console)
    if own_failure is None:
        _print_following(story.following, "" if story.first is None else _why(story.first.violation), console)
    _print_notes(verdict, console)


def print_what_to_type(verdict: Verdict, name: str, console: Console, *, has_page: bool = False) -> None:
    """How to look at a run again, and closer if something is wrong.

    Args:
        verdict: On it.
        name: Its run directory, or its bundle, as the user would type it.
        console: Where to print.
        has_page: A page of it is written already.
    """
    console.print(f"look again: resumable check {name}", highlight=False, soft_wrap=True)
    if verdict.outcome is Outcome.INVALID and not has_page:
        console.print(f"on a page:  resumable report {name} --html report.html", highlight=False, soft_wrap=True)


def _own_failure(verdict: Verdict) -> ReferenceFailed | None:
    """What a job died of before anything was done to it; no check has more to say."""
    problem = None if verdict.cause is None else verdict.cause.problem
    return problem if isinstance(problem, ReferenceFailed) and not verdict.fired_faults else None


def _print_own_failure(failure: ReferenceFailed, run_dir: RunDir, console: Console) -> None:
    """The job's own error, as its log has it."""
    console.print("The job failed by itself, before anything was done to it.\n", highlight=False)
    _print_log(failure.log, run_dir, console)
    console.print()


def _print_log(log: str, run_dir: RunDir, console: Console) -> None:
    """The last lines of a rank's log."""
    lines = last_lines(run_dir.root / log, MAX_LOG_LINES, within=run_dir.root)
    if lines:
        console.print(f"the end of {printable(log)}:", highlight=False, markup=False, soft_wrap=True)
    for line in lines:
        console.print(f"    {printable(line)}", markup=False, highlight=False, soft_wrap=True)


def _print_findings(verdict: Verdict, plan: Plan, console: Console) -> None:
    console.print(_headline(verdict, plan), highlight=False)
    for event in verdict.fired_faults:
        print_indented(console, Text(printable(told_fault(event))), indent=2)
    console.print()
    _print_checks(verdict, console)


def _headline(verdict: Verdict, plan: Plan) -> Text:
    program = f"{plan.script.path} {' '.join(plan.script.arguments)}".strip()
    sizes = [incarnation.world_size for incarnation in verdict.incarnations]
    num_nodes = max((incarnation.num_nodes for incarnation in verdict.incarnations), default=0)
    ranks = counted(sizes[0], "rank") if len(set(sizes)) == 1 else " then ".join(map(str, sizes)) + " ranks"
    lives = counted(len(sizes), "incarnation")
    figures = f"{ranks if sizes else 'no rank'}, {counted(num_nodes, 'node')}, {lives}"
    return Text(printable(f"{verdict.scenario}: {figures}\n{program}"))


def told_fault(event: FaultEvent) -> str:
    """What was done, to whom, where in training, and how long it took until training went on."""
    where = f"rank {event.rank} of incarnation {event.incarnation}, {counted(event.step, 'step')} done"
    if event.epoch is not None:
        where += f", at batch {event.batch} of epoch {event.epoch}"
    again = "" if event.restart_s is None else f"; next batch after {event.restart_s:.2f} s"
    return f"{event.what}: {where}{again}"


def _print_checks(verdict: Verdict, console: Console) -> None:
    name_width = max((len(report.name) for report in verdict.checks), default=0)
    word_width = max(len(mark_of(report.result.outcome).word) for report in verdict.checks) if verdict.checks else 0
    for report in verdict.checks:
        mark = mark_of(report.result.outcome)
        head = Text(f"{report.name:<{name_width}}  ").append(mark.word, style=mark.style)
        print_indented(console, Text(printable(report.result.summary)), head=head, indent=name_width + word_width + 4)


def _print_sentence(verdict: Verdict, sentence: str, console: Console) -> None:
    word = str(verdict.outcome).upper()
    text = printable(f"{word}: {sentence}" if sentence else word)
    print_indented(console, Text(text, style=mark_of(verdict.outcome).style))


def _print_first(first: Difference, verdict: Verdict, run_dir: RunDir, console: Console) -> None:
    """What is wrong, why, both batches, where it stands, what to do, and a log; file names are copied: none is broken."""
    violation = first.violation
    _print_sentence(verdict, violation.sentence, console)
    if violation.explanation and not isinstance(violation.reason, SeeLog):  # which is shown
        print_indented(console, Text(printable(violation.explanation)), indent=2)
    for line in _samples(violation, drawing_width(console) - 2):
        console.print(f"  {printable(line)}", markup=False, highlight=False, soft_wrap=True)
    if violation.file is not None:
        step = "" if violation.step is None else f"step {violation.step}, "
        where = printable(step + place(violation.file, violation.line))
        console.print(f"  where: {where}", markup=False, highlight=False, soft_wrap=True)
    _print_advice(violation.advice, console)
    if isinstance(violation.reason, SeeLog):
        console.print()
        _print_log(violation.reason.log, run_dir, console)
    console.print()


def _print_advice(advice: str, console: Console) -> None:
    if advice:
        print_indented(console, Text(printable(advice)), head=Text("  to do: "), indent=9)


def _print_notes(verdict: Verdict, console: Console) -> None:
    """A VALID says as much as its run could show."""
    for note in verdict.notes:
        print_indented(console, Text(printable(note)), head=Text("  note: "), indent=8)
    if verdict.notes:
        console.print()


def _samples(violation: Violation, width: int) -> Iterator[str]:
    if violation.expected is not None and violation.found is not None:
        yield from marked_difference(violation.expected, violation.found, width)
    if violation.lost:
        yield f"lost {shortened(violation.lost)}"
    if violation.extra:
        yield f"duplicated or unexpected {shortened(violation.extra)}"


def _why(violation: Violation) -> str:
    return violation.explanation or violation.advice


def _print_following(following: tuple[Following, ...], explained: str, console: Console) -> None:
    """A line for each: most of it is a consequence, and what is not says why."""
    if not following:
        return
    console.print("besides, perhaps because of it:", highlight=False)
    for group in following:
        for violation in group.violations[:MAX_FOLLOWING]:
            has_own_cause = _why(violation) not in ("", explained) and not isinstance(
                violation.reason, FollowsFromBatches | FollowsFromParameters
            )
            why = f": {_why(violation)}" if has_own_cause else ""
            print_indented(console, Text(printable(f"{group.check}: {violation.sentence}{why}")), indent=2)
        hidden = len(group.violations) - MAX_FOLLOWING
        if hidden > 0:
            console.print(f"  {group.check}: and {hidden} more, in verdict.json", highlight=False)
    console.print()
