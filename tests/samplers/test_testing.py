"""The laws of an order, and orders that break each of them."""

import numpy as np
import pytest

from resumable.samplers import Blocks, Order, OrderLawError
from resumable.samplers.orders import order_named, order_of
from resumable.samplers.testing import check_order
from tests.samplers.streams import GROUPS, NUM_SAMPLES, ONCE, ORDERS


class Rotated(Order):
    """An order of a user's own, in ten lines: the samples as they lie, from a place that the epoch decides."""

    name = "rotated/1"

    def stream(self, *, num_samples, seed, epoch):
        return Rotation(num_samples, seed + epoch)


class Rotation:
    def __init__(self, num_samples, start):
        self.num_samples, self.start = num_samples, start

    def at(self, positions):
        return (positions + self.start) % self.num_samples


def test_an_order_of_ten_lines_keeps_the_laws():
    """So does it in a sampler, cut into groups."""
    check_order(Rotated())
    check_order(Rotated(), groups=GROUPS["packs"](), num_samples=[100])


@pytest.mark.parametrize("name", sorted(set(ORDERS) - {"sequential", "randperm", "feistel"}))
def test_orders_that_are_made_of_others_keep_the_laws(name):
    """Each for the number of samples that it is for."""
    order = order_of(ORDERS[name]())
    assert order.is_permutation == (name in ONCE)
    check_order(order, num_samples=[NUM_SAMPLES])


def test_blocks_that_are_drawn_several_times_are_no_permutation():
    """As little as the order of the blocks is one."""

    class Halves(Rotated):
        is_permutation = False

        def stream(self, *, num_samples, seed, epoch):
            return Doubling(num_samples, 0)

    check_order(Blocks(4, order=Halves()), num_samples=[64])
    assert not Blocks(4, order=Halves()).is_permutation


@pytest.mark.parametrize("name", ["sequential/1", "randperm/1", "feistel/1", "feistel/2"])
def test_orders_with_a_name_keep_the_laws(name):
    """Small and large."""
    check_order(order_named(name), num_samples=[1, 2, 64, 5000 if name == "feistel/2" else 100])


class Doubling(Rotation):
    def at(self, positions):
        return positions // 2


class Beyond(Rotation):
    def at(self, positions):
        return positions + 1


class Drawing(Rotation):
    def at(self, positions):
        return np.random.permutation(self.num_samples)[positions]


class Walking(Rotation):
    """Right on a walk, and nowhere else: it counts its calls."""

    def at(self, positions):
        self.start += len(positions)
        return (np.arange(len(positions)) + self.start - len(positions)) % self.num_samples


class Remembering(Rotation):
    def at(self, positions):
        self.start += 1
        return (positions + self.start) % self.num_samples


class Scribbling(Rotation):
    def at(self, positions):
        positions += 0 * positions + 1
        return positions % self.num_samples


class Listing(Rotation):
    def at(self, positions):
        return list(positions)


@pytest.mark.parametrize(
    ("stream", "law"),
    [
        (Doubling, "bijection"),
        (Beyond, "bijection"),
        (Drawing, "purity"),
        (Walking, "seek"),
        (Remembering, "purity"),
        (Scribbling, "purity"),
        (Listing, "description"),
    ],
)
def test_a_stream_that_breaks_a_law_is_told_which(stream, law):
    """The message begins with it."""

    class Broken(Order):
        name = "broken/1"

        def stream(self, *, num_samples, seed, epoch):
            return stream(num_samples, 0)

    with pytest.raises(OrderLawError, match=f"^{law}: "):
        check_order(Broken(), num_samples=[7, 64])


class Unversioned(Rotated):
    name = "rotated"


class Unplain(Rotated):
    @property
    def parameters(self):
        return {"of": {1, 2}}


class Changed(Rotated):
    @property
    def parameters(self):
        return {"of": (1, 2)}


@pytest.mark.parametrize("order", [Unversioned(), Unplain(), Changed(), "randperm"])
def test_what_no_state_could_name_is_no_order(order):
    """No version, or parameters that JSON does not know, or changes."""
    with pytest.raises(OrderLawError, match=r"^description: "):
        check_order(order)
