"""Results as Markdown for the summary page of a CI job (`$GITHUB_STEP_SUMMARY`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import zip_longest

from resumable.launch.explain.check_result import Violation
from resumable.launch.explain.outcome import Outcome
from resumable.launch.judge.causes import CauseGroup, causes_of
from resumable.launch.judge.results import Case, Results
from resumable.launch.report.batches import marked_difference
from resumable.launch.report.grid import Point, case_grids, mark_of_cell, marks_for, outside_grids
from resumable.launch.sweep.grid import Grid
from resumable.launch.system.text_safety import fenced, markdown_prose
from resumable.launch.system.text_safety import markdown as escaped
from resumable.launch.system.wording import counted, place

MAX_SIZE_BYTES = 1 << 20
"""GitHub refuses a summary that is longer."""
MAX_VIOLATIONS = 5
MAX_CASES = 20
MAX_COLUMNS = 100

_WIDTH = 90


def markdown(results: Results, *, max_size_bytes: int = MAX_SIZE_BYTES) -> str:
    """Headline, then a table of checks (one case) or grids (a sweep), then what failed, by cause.

    Args:
        results: What came of the command.
        max_size_bytes: Later blocks are left out, and counted, where the whole would be longer in UTF-8.
    """
    return _within(list(_blocks(results)), max_size_bytes)


def _blocks(results: Results) -> Iterator[str]:
    yield _headline(results)
    if results.kind == "sweep":
        yield _counts(results)
        yield from (block for grid in case_grids(results) for block in _grid(grid, _legend(results)))
        others = outside_grids(results)
        if others:
            yield _table(("case", "outcome"), [(_code(case.name), case.verdict.outcome.upper()) for case in others])
    else:
        yield from (block for case in results.cases for block in _checks(case))
    for cause in causes_of(results):
        yield from _cause(cause)
    yield f"Evidence: {_code(results.run_dir)}; resumable {escaped(results.tools.resumable)}" + (
        f", torch {escaped(results.tools.torch)}" if results.tools.torch else ""
    )


def _headline(results: Results) -> str:
    script = _code(" ".join([results.script, *results.arguments]))
    return f"## Resume {results.outcome.upper()}: {script}"


def _counts(results: Results) -> str:
    counts = results.counts
    cases = counted(len(results.cases), "case")
    not_run = f"; {counted(len(results.left_out), 'point')} not run" if results.left_out else ""
    drawn = f"; {results.drawn} were drawn" if results.drawn else ""
    return f"{cases}: {counts.valid} VALID, {counts.invalid} INVALID, {counts.unknown} UNKNOWN{not_run}{drawn}"


def _checks(case: Case) -> Iterator[str]:
    if case.faults:
        yield "Faults: " + ", ".join(map(_code, case.faults))
    yield _table(
        ("check", "outcome", "figures"),
        [(_code(r.name), _word(r.result.outcome), markdown_prose(r.result.summary)) for r in case.verdict.checks],
    )
    yield from (f"Note: {markdown_prose(note)}" for note in case.verdict.notes)


def _word(outcome: Outcome) -> str:
    return f"**{outcome.upper()}**" if outcome in (Outcome.INVALID, Outcome.UNKNOWN) else escaped(outcome)


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _legend(results: Results) -> str:
    return "  ".join(f"{mark.letter} {mark.meaning}" for mark in marks_for(results))


def _grid(grid: Grid[Point], legend: str) -> Iterator[str]:
    """Blocks of at most `MAX_COLUMNS` moments, one character each, with their numbers written downwards."""
    for first in range(0, len(grid.columns), MAX_COLUMNS):
        part = slice(first, first + MAX_COLUMNS)
        labels = grid.columns[part]
        width = max(len(grid.unit), *(len(row.who) for row in grid.rows))
        digits = ["".join(column) for column in zip_longest(*_aligned(labels), fillvalue=" ")]
        heads = [f"{grid.unit if n == 0 else '':<{width}}  {line}" for n, line in enumerate(digits)]
        rows = [f"{row.who:<{width}}  {''.join(map(_mark, row.cells[part]))}" for row in grid.rows]
        yield fenced("\n".join([f"{grid.kind}, rank by {grid.unit}", *heads, *rows, legend]), "text")


def _aligned(labels: tuple[str, ...]) -> list[str]:
    longest = max(map(len, labels))
    return [label.rjust(longest) for label in labels]


def _mark(points: tuple[Point, ...]) -> str:
    return mark_of_cell(points).letter if points else " "


def _cause(cause: CauseGroup) -> Iterator[str]:
    first = cause.cases[0]
    num = "" if len(cause.cases) == 1 else f" ({counted(len(cause.cases), 'case')})"
    yield f"### {cause.outcome.upper()}{num}: {markdown_prose(cause.reason)}"
    if cause.advice:
        yield f"To do: {markdown_prose(cause.advice)}"
    violations = [
        (report.name, violation)
        for report in first.verdict.checks
        if report.result.outcome is cause.outcome
        for violation in report.result.violations
    ]
    for name, violation in violations[:MAX_VIOLATIONS]:
        yield f"- {_code(name)} {_violation(violation)}"
        if violation.expected is not None and violation.found is not None:
            yield fenced("\n".join(marked_difference(violation.expected, violation.found, _WIDTH)), "text")
    if len(cause.cases) > 1:
        shown = ", ".join(_code(case.name) for case in cause.cases[:MAX_CASES])
        hidden = len(cause.cases) - MAX_CASES
        yield f"Cases: {shown}" + (f" and {hidden} more" if hidden > 0 else "")
    yield "Repeat it:"
    yield fenced(first.repeat, "sh")


def _violation(violation: Violation) -> str:
    parts = [markdown_prose(violation.sentence)]
    if violation.explanation:
        parts.append(markdown_prose(violation.explanation))
    if violation.file is not None:
        parts.append(_code(place(violation.file, violation.line)))
    return "; ".join(parts)


def _code(text: str) -> str:
    """Inline code as HTML: its content is escaped like all other text, backticks and pipes included."""
    return f"<code>{escaped(text)}</code>"


def _within(blocks: list[str], max_size_bytes: int) -> str:
    """As many blocks as fit with the note that says how many did not."""
    text = "\n\n".join(blocks) + "\n"
    if len(text.encode()) <= max_size_bytes:
        return text
    room = max_size_bytes - len(_cut_note(len(blocks)).encode())
    kept: list[str] = []
    for block in blocks:
        room -= len(block.encode()) + 2
        if room < 0:
            break
        kept.append(block)
    return "\n\n".join([*kept, _cut_note(len(blocks) - len(kept))])


def _cut_note(num_left_out: int) -> str:
    return f"(cut: {counted(num_left_out, 'block')} more; `--html` and `--json` hold everything)\n"
