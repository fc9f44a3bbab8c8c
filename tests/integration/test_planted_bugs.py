"""The rig's own controls: every planted bug is found and named, and its repaired twin passes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.integration.conftest import Judged, Verify
from tests.mutants.bugs import BUGS, NODE_BUGS, PlantedBug

JOB = str(Path(__file__).parents[1] / "mutants" / "job.py")


def twins(bugs: Iterable[PlantedBug]) -> list[PlantedBug]:
    """One of each kind: without its bug a job is the same as any other under the same faults."""
    return list({(bug.faults, bug.arguments): bug for bug in bugs}.values())


def cases(bugs: Iterable[PlantedBug]) -> list[object]:
    """As parameters of a test: further forms are tried thoroughly only."""
    return [pytest.param(bug, id=str(bug), marks=pytest.mark.thorough if bug.is_further else ()) for bug in bugs]


def faults_and_job(bug: PlantedBug, *arguments: str) -> list[str]:
    faults = [word for fault in bug.faults for word in ("--fault", fault)]
    return ["--hang-timeout", "2", *faults, JOB, "--bug", bug.name, *bug.arguments, *arguments]


def on_nodes(bug: PlantedBug) -> tuple[str, str]:
    """Of three; the job waits for a new one where a new one comes."""
    return ("--nnodes", "3" if any("replace" in fault for fault in bug.faults) else "2:3")


def is_found_and_named(judged: Judged, bug: PlantedBug) -> bool:
    """Whether the verdict is INVALID, and a sentence says what the bug does."""
    is_named = re.search(bug.explanation, judged.explanations, re.IGNORECASE) is not None
    return judged.outcome == "invalid" and is_named


@pytest.mark.parametrize("bug", cases(BUGS))
def test_a_planted_bug_is_found_and_named(verify: Verify, bug: PlantedBug) -> None:
    """Whatever is wrong with a resume, and however the rank ended."""
    judged = verify("--nproc-per-node", "2", *faults_and_job(bug))
    assert is_found_and_named(judged, bug), (judged.verdict.reason, judged.explanations)


@pytest.mark.parametrize("bug", cases(twins(BUGS)))
def test_its_repaired_twin_passes(verify: Verify, bug: PlantedBug) -> None:
    """The same job under the same faults without the bug is VALID."""
    judged = verify("--nproc-per-node", "2", *faults_and_job(bug, "--repaired"))
    assert (judged.outcome, judged.verdict.reason) == ("valid", "")


@pytest.mark.parametrize("bug", cases(NODE_BUGS))
def test_a_planted_bug_that_only_several_nodes_show_is_found_and_named(verify_nodes: Verify, bug: PlantedBug) -> None:
    """A node is lost, and replaced or not."""
    judged = verify_nodes(*on_nodes(bug), *faults_and_job(bug))
    assert is_found_and_named(judged, bug), (judged.verdict.reason, judged.explanations)


@pytest.mark.parametrize("bug", cases(twins(NODE_BUGS)))
def test_its_repaired_twin_passes_on_several_nodes(verify_nodes: Verify, bug: PlantedBug) -> None:
    """On as many ranks as there are."""
    judged = verify_nodes(*on_nodes(bug), *faults_and_job(bug, "--repaired"))
    assert (judged.outcome, judged.verdict.reason) == ("valid", "")
