"""What a probe found out about this machine."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from resumable.launch.explain.outcome import ExitCode


class Status(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    """Restarts work, or work most of the time; something will cost time or evidence."""
    FAIL = "fail"
    """Restarts will fail."""
    UNKNOWN = "unknown"
    """The probe broke or took too long. Never read it as ok."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the doctor's table."""

    name: str
    status: Status
    meaning: str
    """What was measured, and what follows from it for restarts."""
    fix: str = ""
    """What to do; "" if there is nothing to fix."""


def ok(name: str, meaning: str) -> Finding:
    """Nothing to fix."""
    return Finding(name=name, status=Status.OK, meaning=meaning)


def warn(name: str, meaning: str, fix: str) -> Finding:
    """It will cost something."""
    return Finding(name=name, status=Status.WARN, meaning=meaning, fix=fix)


def fail(name: str, meaning: str, fix: str) -> Finding:
    """Restarts will fail."""
    return Finding(name=name, status=Status.FAIL, meaning=meaning, fix=fix)


def unknown(name: str, meaning: str) -> Finding:
    """The probe gave no answer."""
    return Finding(name=name, status=Status.UNKNOWN, meaning=meaning)


def exit_code(findings: Iterable[Finding]) -> ExitCode:
    """INVALID if something fails, else UNKNOWN if a probe gave no answer, else VALID."""
    found = {finding.status for finding in findings}
    if Status.FAIL in found:
        return ExitCode.INVALID
    return ExitCode.UNKNOWN if Status.UNKNOWN in found else ExitCode.VALID
