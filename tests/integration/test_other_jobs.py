"""Jobs of other makes than the built-in one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.conftest import Judged

JOBS = Path(__file__).parent / "jobs"
OPTIONS = ("--nproc-per-node", "2", "--fault", "sigkill@step=9:rank=1")


def test_a_job_without_a_data_loader_is_judged_by_what_its_model_is_fed(verify: Callable[..., Judged]) -> None:
    """It restores its random state, so it draws the batches that would have come next."""
    assert verify(*OPTIONS, str(JOBS / "drawn.py")).outcome == "valid"


def test_a_job_that_draws_other_batches_after_a_restart_is_caught(verify: Callable[..., Judged]) -> None:
    """It starts its generator anew."""
    judged = verify(*OPTIONS, str(JOBS / "drawn.py"), "--forget")
    assert judged.outcome == "invalid"
    assert "rank 0" in judged.explanations


def test_augmentation_that_depends_on_the_sample_alone_is_the_same_after_a_restart(
    verify: Callable[..., Judged],
) -> None:
    """Not only the samples but every byte of every batch."""
    assert verify(*OPTIONS, "--content", str(JOBS / "augmented.py"), "--seeded").outcome == "valid"


def test_augmentation_that_draws_anew_after_a_restart_is_caught(verify: Callable[..., Judged]) -> None:
    """The samples are right, and only their content tells."""
    judged = verify(*OPTIONS, "--content", str(JOBS / "augmented.py"))
    assert judged.outcome == "invalid"
    assert "on the samples with other content" in judged.explanations


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param(["sigkill@step=9:rank=1"], id="in training"),
        pytest.param(["sigkill@save#2+during:rank=0"], id="in a save"),
        pytest.param(["sigkill@save#2+after:rank=1", "sigkill@load#0:rank=1"], id="after a save, and after the load"),
    ],
)
def test_a_distributed_checkpoint_is_one_checkpoint(verify: Callable[..., Judged], faults: list[str]) -> None:
    """However many files it is made of, it is counted, interrupted and looked for as one."""
    options = [word for fault in faults for word in ("--fault", fault)]
    assert verify("--nproc-per-node", "2", *options, str(JOBS / "sharded.py")).outcome == "valid"


KILLED_TWICE = ("--nproc-per-node", "2", "--fault", "sigkill@step=12:rank=1", "--fault", "sigkill@resume+21:rank=0")


@pytest.mark.parametrize("library", ["lightning", "accelerate"])
def test_a_trainer_with_our_loader_goes_on_exactly(verify: Callable[..., Judged], library: str) -> None:
    """Killed in mid-epoch, and once more in the next epoch."""
    pytest.importorskip(library)
    assert verify(*KILLED_TWICE, str(JOBS / f"in_{library}.py"), "--resumable").outcome == "valid"


@pytest.mark.parametrize(
    ("library", "sentence"),
    [
        ("lightning", "it restarted epoch 0 from its first batch instead of going on at batch 10"),
        ("accelerate", "epoch 1 goes on in epoch 0's order"),
    ],
)
def test_a_trainer_with_torchs_loader_is_caught(verify: Callable[..., Judged], library: str, sentence: str) -> None:
    """What the libraries make of a plain DataLoader after a restart in mid-epoch is told in the field's words."""
    pytest.importorskip(library)
    judged = verify(*KILLED_TWICE, str(JOBS / f"in_{library}.py"))
    assert judged.outcome == "invalid"
    assert sentence in judged.explanations
