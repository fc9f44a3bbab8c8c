"""The rig's own controls: every planted bug is found and named, and its repaired twin passes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.integration.conftest import Verify
from tests.mutants.bugs import BUGS, PlantedBug

JOB = str(Path(__file__).parents[1] / "mutants" / "job.py")
TWINS = list({(bug.faults, bug.arguments): bug for bug in BUGS}.values())
"""Without its bug a job is the same as any other under the same faults."""


def faults_and_job(bug: PlantedBug, *arguments: str) -> list[str]:
    faults = [word for fault in bug.faults for word in ("--fault", fault)]
    return ["--nproc-per-node", "2", "--hang-timeout", "2", *faults, JOB, "--bug", bug.name, *bug.arguments, *arguments]


@pytest.mark.parametrize("bug", BUGS, ids=str)
def test_a_planted_bug_is_found_and_named(verify: Verify, bug: PlantedBug) -> None:
    """The verdict is INVALID, and a sentence says what the bug does."""
    judged = verify(*faults_and_job(bug))
    assert judged.outcome == "invalid", judged.verdict.reason
    assert re.search(bug.explanation, judged.explanations, re.IGNORECASE), judged.explanations


@pytest.mark.parametrize("bug", TWINS, ids=str)
def test_its_repaired_twin_passes(verify: Verify, bug: PlantedBug) -> None:
    """The same job under the same faults without the bug is VALID."""
    judged = verify(*faults_and_job(bug, "--repaired"))
    assert (judged.outcome, judged.verdict.reason) == ("valid", "")
