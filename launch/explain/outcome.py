"""What a check, a case or a whole command comes to, and the exit code that reports it."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum, StrEnum


class Outcome(StrEnum):
    """What came of a check, or of all of them."""

    VALID = "valid"
    INVALID = "invalid"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "not applicable"


BY_SEVERITY = (Outcome.INVALID, Outcome.UNKNOWN, Outcome.VALID)
"""The order in which a person should look: each beats those after it."""


class ExitCode(IntEnum):
    """Every exit code of the command line; the commands `run` and `record` hand on the job's own besides."""

    VALID = 0
    INVALID = 1
    USAGE = 2
    UNKNOWN = 3
    INTERNAL = 70
    """An error of this program, never of the job."""
    BROKEN_PIPE = 141
    """As of a program that SIGPIPE ended."""


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """INVALID beats UNKNOWN beats VALID; where nothing was decided at all it is UNKNOWN."""
    found = set(outcomes)
    return next((outcome for outcome in BY_SEVERITY if outcome in found), Outcome.UNKNOWN)


def exit_code(outcome: Outcome) -> ExitCode:
    """What the command answers to its caller."""
    return {Outcome.VALID: ExitCode.VALID, Outcome.INVALID: ExitCode.INVALID}.get(outcome, ExitCode.UNKNOWN)
