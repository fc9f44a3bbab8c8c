"""What a probe says about this machine."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from resumable.launch.outcome import ExitCode


class Status(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    """Restarts work, or work most of the time; something will cost time or evidence."""
    FAIL = "fail"
    """Restarts will fail."""
    UNKNOWN = "could not tell"
    """The probe broke or took too long. Never read it as ok."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the doctor's table."""

    name: str
    status: Status
    meaning: str
    """What was measured, and what follows from it for restarts."""
    mend: str = ""
    """What to do; "" if there is nothing to mend."""


def ok(name: str, meaning: str) -> Finding:
    """Nothing to mend."""
    return Finding(name=name, status=Status.OK, meaning=meaning)


def warn(name: str, meaning: str, mend: str) -> Finding:
    """It will cost something."""
    return Finding(name=name, status=Status.WARN, meaning=meaning, mend=mend)


def fail(name: str, meaning: str, mend: str) -> Finding:
    """Restarts will fail."""
    return Finding(name=name, status=Status.FAIL, meaning=meaning, mend=mend)


def unknown(name: str, meaning: str, mend: str = "") -> Finding:
    """It could not be told."""
    return Finding(name=name, status=Status.UNKNOWN, meaning=meaning, mend=mend)


def exit_code(findings: Iterable[Finding]) -> ExitCode:
    """INVALID if something fails, else UNKNOWN if a probe could not tell, else VALID."""
    found = {finding.status for finding in findings}
    if Status.FAIL in found:
        return ExitCode.INVALID
    return ExitCode.UNKNOWN if Status.UNKNOWN in found else ExitCode.VALID
