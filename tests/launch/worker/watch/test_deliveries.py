from __future__ import annotations

from typing import Any

import pytest
import torch

from resumable.launch.worker.watch.deliveries import Deliveries
from resumable.launch.worker.watch.tensors import tensors_in

DATA = torch.arange(24.0).reshape(6, 4)
X, MORE = torch.ones(4, 2), [torch.zeros(3), (torch.arange(2), "text")]
BATCH = {"x": X, "more": MORE}


def known(*delivered: Any) -> Deliveries:
    deliveries = Deliveries()
    for line, batch in enumerate(delivered):
        deliveries.note(batch, line)
    return deliveries


@pytest.mark.parametrize(
    "part",
    [
        X[1:3],
        X.T,
        X.view(-1),
        {"y": MORE},
        [MORE[1]],
        X.detach(),
    ],
    ids=["slice", "transposed", "flat", "nested", "one of many", "detached"],
)
def test_whatever_lies_in_a_batchs_memory_is_the_batch(part: Any) -> None:
    """A script may cut it up, turn it and pack it into something else."""
    assert known(torch.ones(1), BATCH).lines_of(tensors_in(part)) == {1}


@pytest.mark.parametrize("other", [torch.ones(4, 2), X.clone(), "text", None], ids=["equal", "copy", "text", "none"])
def test_what_lies_elsewhere_is_not(other: Any) -> None:
    """Equal content is no evidence."""
    assert known(BATCH).lines_of(tensors_in(other)) == set()


def test_views_of_one_tensor_are_told_apart_by_their_part() -> None:
    """A data set may give out slices of itself."""
    deliveries = known(DATA[:2], DATA[2:4], DATA[4:])
    assert [deliveries.lines_of([DATA[row]]) for row in range(6)] == [{0}, {0}, {1}, {1}, {2}, {2}]


def test_a_part_that_is_delivered_again_is_of_the_newest_batch() -> None:
    """In the next epoch."""
    assert known(DATA[:2], DATA[2:4], DATA[:2]).lines_of([DATA[:2]]) == {2}


def test_several_batches_that_were_made_one_are_told_together() -> None:
    """accelerate's dispatcher makes one of a batch for each rank."""
    deliveries = Deliveries()
    deliveries.note(X, 3, 4)
    assert deliveries.lines_of([X[:2]]) == {3, 4}


def test_what_comes_with_every_batch_tells_nothing_beside_what_does_not() -> None:
    """A mask that is made once, for example."""
    mask, batches = torch.ones(2), [torch.ones(2), torch.ones(2)]
    assert known((batches[0], mask), (batches[1], mask)).lines_of([batches[0], mask]) == {0}


def test_memory_that_was_used_again_is_not_the_batch_that_is_gone() -> None:
    """An allocator gives out the same address; thousands of batches later nothing is mixed up."""
    deliveries = Deliveries()
    for line in range(3000):
        deliveries.note(torch.ones(7), line)
        assert deliveries.lines_of([torch.ones(7)]) == set()
