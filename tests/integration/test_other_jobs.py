"""Jobs of other makes than the built-in one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from resumable.launch.cluster import LocalCluster
from tests.integration.conftest import Judged, Verify, verify_on
from tests.launch.plans import plan_of

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


@pytest.mark.parametrize("fault", ["sigkill@step=13:rank=1", "sigkill@save#3+during:rank=0"])
def test_a_job_whose_thread_writes_checkpoints_while_it_trains_goes_on_exactly(
    verify: Callable[..., Judged], fault: str
) -> None:
    """What the thread begins to write after some more steps is of the step at which it was handed over."""
    judged = verify("--nproc-per-node", "2", "--fault", fault, str(JOBS / "threaded.py"))
    assert (judged.outcome, judged.verdict.reason) == ("valid", "")


@pytest.mark.parametrize(("late", "outcome"), [("0", "valid"), ("1", "invalid")])
def test_a_job_that_goes_on_with_a_slice_of_its_samples_is_judged_by_what_training_makes_of_them(
    verify: Callable[..., Judged], late: str, outcome: str
) -> None:
    """Indices begin at 0 again in a slice, be it the right one or not."""
    judged = verify(
        "--nproc-per-node", "2", "--fault", "sigkill@step=12:rank=1", str(JOBS / "sliced.py"), "--late", late
    )
    assert judged.outcome == outcome
    assert ("whose indices are different" in judged.explanations) == (outcome == "invalid")


def test_augmentation_that_depends_on_the_sample_alone_is_the_same_after_a_restart(
    verify: Callable[..., Judged],
) -> None:
    """Not only the samples but every byte of every batch."""
    assert verify(*OPTIONS, "--content", str(JOBS / "augmented.py"), "--seeded").outcome == "valid"


def test_augmentation_that_draws_anew_after_a_restart_is_caught(verify: Callable[..., Judged]) -> None:
    """The samples are right, and only their content tells."""
    judged = verify(*OPTIONS, "--content", str(JOBS / "augmented.py"))
    assert judged.outcome == "invalid"
    assert "on the right samples with different content" in judged.explanations


@pytest.fixture(scope="module")
def framework_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """A node that has imported frameworks, each of which takes seconds in a rank that imports it itself."""
    frameworks, logs = ("accelerate", "lightning.pytorch"), tmp_path_factory.mktemp("nodes")
    with LocalCluster(plan_of("verify").topology, nproc_per_node=2, preload=frameworks, log_dir=logs) as cluster:
        yield cluster


@pytest.fixture
def verify_in_framework(tmp_path: Path, framework_nodes: LocalCluster, references: dict[bytes, Path]) -> Verify:
    """As with `--preload`."""
    return partial(verify_on, tmp_path / "run", framework_nodes, references)


KILLED_TWICE = ("--nproc-per-node", "2", "--fault", "sigkill@step=12:rank=1", "--fault", "sigkill@resume+21:rank=0")


@pytest.mark.parametrize("library", ["lightning", "accelerate"])
def test_a_trainer_with_our_loader_goes_on_exactly(verify_in_framework: Verify, library: str) -> None:
    """Killed in mid-epoch, and once more in the next epoch."""
    assert verify_in_framework(*KILLED_TWICE, str(JOBS / f"in_{library}.py"), "--resumable").outcome == "valid"


@pytest.mark.parametrize(
    ("library", "sentence"),
    [
        ("lightning", "it restarted epoch 0 from its first batch instead of going on at batch 10"),
        ("accelerate", "epoch 1 goes on in epoch 0's order"),
    ],
)
def test_a_trainer_with_torchs_loader_is_caught(verify_in_framework: Verify, library: str, sentence: str) -> None:
    """What the libraries make of a plain DataLoader after a restart in mid-epoch is told in the field's words."""
    judged = verify_in_framework(*KILLED_TWICE, str(JOBS / f"in_{library}.py"))
    assert judged.outcome == "invalid"
    assert sentence in judged.explanations


@pytest.mark.parametrize(("before", "after"), [("4", "3"), ("3", "8")])
@pytest.mark.parametrize("stream", ["mixture", "budget"])
def test_streams_that_are_made_of_others_go_on_exactly_on_other_numbers_of_ranks(
    verify: Callable[..., Judged], stream: str, before: str, after: str
) -> None:
    """Killed twice: a mixture of blocks without borders, and batches of blocks that are cut by a budget."""
    sizes = ("--nproc-per-node", before, "--restart", "job", "--restart-nproc-per-node", after)
    faults = ("--fault", "sigkill@step=5:rank=1", "--fault", "sigkill@step=11:rank=2")
    judged = verify(*sizes, *faults, str(JOBS / "streams.py"), stream)
    assert (judged.outcome, judged.verdict.reason) == ("valid", "")
