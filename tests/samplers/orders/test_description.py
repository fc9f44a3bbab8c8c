"""Orders made of their description."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from resumable.samplers.orders import order_from, order_of
from resumable.samplers.orders.order import described
from tests.samplers.streams import NUM_SAMPLES, ORDERS


@pytest.mark.parametrize("name", ORDERS)
def test_an_order_is_known_from_its_description(name: str) -> None:
    """All that it is made of included."""
    order = order_of(ORDERS[name]())
    again = order_from(described(order))
    positions = np.arange(3 * NUM_SAMPLES)[: order.length(NUM_SAMPLES)]
    streams = [one.stream(num_samples=NUM_SAMPLES, seed=3, epoch=0).at(positions) for one in (order, again)]
    assert (described(again), streams[1].tolist()) == (described(order), streams[0].tolist())


@pytest.mark.parametrize(
    "description",
    [
        {"order": "mine/1"},
        {"order": "weighted/1"},
        {"order": "randperm/1", "x": 1},
        {"order": "blocks/1", "block_size": 0, "window": 2, "of": {"order": "feistel/2"}},
        {"order": "endless/1", "of": {"order": "mine/1"}},
        {},
    ],
)
def test_a_description_that_does_not_say_all_is_refused(description: Mapping[str, Any]) -> None:
    """Nothing is guessed."""
    with pytest.raises(ValueError, match=r"order|block_size"):
        order_from(description)
