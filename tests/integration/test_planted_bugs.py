"""The rig's own controls: every planted bug is found and named, and its repaired twin passes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.integration.conftest import Finished, Resumable
from tests.mutants.bugs import BUGS, PlantedBug

JOB = str(Path(__file__).parents[1] / "mutants" / "job.py")


def verify(resumable: Resumable, bug: PlantedBug, *arguments: str) -> Finished:
    faults = [word for fault in bug.faults for word in ("--fault", fault)]
    return resumable("verify", "--nproc-per-node", "2", *faults, JOB, "--bug", bug.name, *bug.arguments, *arguments)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_is_found_and_named(resumable: Resumable, bug: PlantedBug) -> None:
    """The verdict is INVALID, and a sentence says what the bug does."""
    finished = verify(resumable, bug)
    assert finished.exit_code == 1, finished.output + finished.errors
    assert re.search(bug.explanation, finished.explanations, re.IGNORECASE), finished.explanations


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_its_repaired_twin_passes(resumable: Resumable, bug: PlantedBug) -> None:
    """The same job under the same faults without the bug is VALID."""
    finished = verify(resumable, bug, "--repaired")
    assert (finished.exit_code, finished.explanations) == (0, ""), finished.output + finished.errors
