"""What a check is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from resumable.launch.explain.check_result import CheckResult, not_applicable
from resumable.launch.reading.evidence import Evidence

Part = Literal["samples", "state"]
"""Of a resume: what it trains on, and what it goes on with."""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """A pure function from evidence to a result, and when it means something."""

    name: str
    claim: str
    """What holds if it is valid."""
    run: Callable[[Evidence], CheckResult]
    """Called only where nothing below says that there is nothing to check."""
    needs_reference: bool = True
    """It compares with the uninterrupted run."""
    on_resize: str = ""
    """Why there is nothing to check once the number of ranks has changed; "" if there is."""
    on_same_size: str = ""
    """Why there is nothing to check as long as it has not; "" if there is."""
    is_comparison: bool = False
    """It accuses only a job that does the same twice."""
    is_of_batches: bool = False
    """It accuses by what batches were recorded; where losses and parameters are right to the last bit, none was wrong."""
    is_of_reference: bool = False
    """It looks at the uninterrupted runs alone: where it is not valid, nothing can be compared with them."""
    proves: frozenset[Part] = frozenset()
    """What is proved where it is valid. A VALID needs both; batches that are the uninterrupted run's show them together."""

    def __call__(self, evidence: Evidence) -> CheckResult:
        """The answer."""
        if self.needs_reference and not evidence.references:
            return not_applicable("there is no uninterrupted run to compare with")
        idle = self.on_resize if evidence.is_resized else self.on_same_size
        return not_applicable(idle) if idle else self.run(evidence)
