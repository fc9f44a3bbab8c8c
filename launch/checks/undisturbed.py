"""A run that differs from the reference before anything was done to it shows that the job does not repeat itself."""

from __future__ import annotations

from resumable.launch.reading.evidence import Evidence
from resumable.launch.reading.outcome import Violation

UNDISTURBED = "the run differs before its first restart: the job does not repeat itself"


def is_undisturbed(violation: Violation, evidence: Evidence) -> bool:
    """Whether a difference came before the first restart, and before any fault that the job survived there."""
    survived = [f.num_steps for f in evidence.faulted.firings if f.life.incarnation == 0 and f.was_survived]
    return violation.incarnation == 0 and (not survived or (violation.step or 0) < min(survived))
