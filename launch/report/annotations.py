"""Results as workflow commands of GitHub, which shows them beside the changed lines and above the log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from resumable.launch.explain.outcome import Outcome
from resumable.launch.judge.causes import CauseGroup, causes_of
from resumable.launch.judge.results import Results
from resumable.launch.system.text_safety import workflow_message, workflow_property
from resumable.launch.system.wording import counted

MAX_ANNOTATIONS = 10
"""GitHub shows no more of one step."""


def workflow_commands(results: Results, *, here: Path, strict: bool = False) -> list[str]:
    """One command a cause, on the first line of the script.

    Args:
        results: What came of the run.
        here: Root of the checkout; a script outside of it is not named, because GitHub could not show it.
        strict: UNKNOWN is an error, not a warning.
    """
    place = _place(results, here)
    return [
        f"::{_level(cause, strict=strict)} {place}title={workflow_property(_title(cause))}::"
        f"{workflow_message(chr(10).join(_message(cause)))}"
        for cause in causes_of(results)[:MAX_ANNOTATIONS]
    ]


def _level(cause: CauseGroup, *, strict: bool) -> str:
    return "error" if strict or cause.outcome is Outcome.INVALID else "warning"


def _title(cause: CauseGroup) -> str:
    num = "" if len(cause.cases) == 1 else f" ({counted(len(cause.cases), 'case')})"
    return f"resume {cause.outcome.upper()}{num}"


def _message(cause: CauseGroup) -> Iterator[str]:
    yield cause.reason
    if cause.advice:
        yield f"to do: {cause.advice}"
    yield f"faults: {cause.cases[0].name}"
    yield f"repeat: {cause.cases[0].repeat}"


def _place(results: Results, here: Path) -> str:
    script = Path(results.script)
    if script.is_absolute() and script.is_relative_to(here):
        script = script.relative_to(here)
    if script.is_absolute() or not (here / script).is_file():
        return ""
    return f"file={workflow_property(script.as_posix())},line=1,"
