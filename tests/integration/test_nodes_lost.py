"""Whole nodes of the built-in job are taken away and come back; every batch is compared with the uninterrupted run.

Every node, in every way: `make matrix`.
"""

from __future__ import annotations

import pytest

from tests.integration.conftest import Verify

JOB = ("-m", "resumable.launch.jobs.digits", "--epochs", "3")
FAULTS = {
    "the node with rank 0, replaced": ("3", ("nodeloss(replace=0)@step=7:rank=0",)),
    "two nodes at once, replaced": ("3", ("nodeloss(replace=0)@step=7:node=0", "nodeloss(replace=0)@step=7:node=1")),
    "one node for good, the others go on": ("2:3", ("nodeloss@step=7:rank=0",)),
}


@pytest.mark.parametrize(
    "what", [pytest.param(what, marks=pytest.mark.thorough if "two nodes" in what else ()) for what in sorted(FAULTS)]
)
def test_a_job_survives_what_happens_to_its_nodes(verify_nodes: Verify, what: str) -> None:
    """Whoever is left goes on with the right batches, on as many ranks as there are."""
    nnodes, faults = FAULTS[what]
    judged = verify_nodes("--nnodes", nnodes, *(word for fault in faults for word in ("--fault", fault)), *JOB)
    assert (judged.outcome, judged.verdict.reason) == ("valid", "")
