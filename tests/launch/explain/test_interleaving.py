"""Two streams of batches that come in turns."""

from __future__ import annotations

import pytest

from resumable.launch.evidence.rank_records import Loader
from resumable.launch.explain.interleaving import explain_interleaving
from resumable.launch.reading.trained import TrainedBatch, TrainedStep

LOADERS = {
    number: Loader(sequence=0, time_ns=0, loader=number, dataset="Tensors", num_samples=length)
    for number, length in {0: 48, 1: 32, 2: 48}.items()
}


def steps(*batches: tuple[int, int]) -> tuple[TrainedStep, ...]:
    """One batch a step: its loader and its first sample."""
    return tuple(
        TrainedStep(batches=(TrainedBatch(loader=loader, epoch=0, batch=0, key=(sample,), line=1),), line=1)
        for loader, sample in batches
    )


RIGHT = steps((0, 1), (0, 2), (1, 50), (0, 3), (1, 51), (0, 4))


@pytest.mark.parametrize(
    ("found", "is_choice"),
    [
        pytest.param(steps((1, 50), (0, 1), (1, 51), (0, 2)), True, id="other turns"),
        pytest.param(steps((1, 50), (0, 1), (0, 2), (2, 3)), True, id="a new loader for the rest"),
        pytest.param(steps((0, 1), (0, 2), (1, 50)), False, id="right, and cut off"),
        pytest.param(steps((1, 51), (0, 1), (1, 50)), False, id="one of them from a different place"),
        pytest.param(steps((0, 2), (0, 3)), False, id="a batch is skipped"),
        pytest.param((), False, id="nothing"),
    ],
)
def test_the_choice_is_to_blame_if_each_stream_goes_on_at_its_place(
    found: tuple[TrainedStep, ...], is_choice: bool
) -> None:
    """Whatever numbers a process gives its loaders: what they read tells which stream it is."""
    reason = explain_interleaving(RIGHT, found, wanted_loaders=LOADERS, found_loaders=LOADERS)
    assert is_choice == (reason is not None)


def test_a_single_stream_has_no_choice() -> None:
    """However many loaders read it."""
    one, two = steps((0, 1), (2, 2)), steps((0, 2), (2, 1))
    assert explain_interleaving(one, two, wanted_loaders=LOADERS, found_loaders=LOADERS) is None
