"""`endless/1`: by steps instead of epochs, with no border."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from resumable.samplers.orders.named import OrderLike, order_of
from resumable.samplers.orders.order import Order, described
from resumable.samplers.orders.stream import Era, Stream

LENGTH = 2**62
"""Positions of an endless run: more than any job can read."""
_OF_EPOCHS = "epoch_length"


class Endless(Order):
    """All epochs of a different order, one behind the other, as the sampler's epoch 0, which never ends.

    No batch is cut short and nothing is padded where one shuffle ends and the next one begins.

    Args:
        order: Name of the order of each shuffle, or an order.

    Raises:
        ValueError: no order has this name.
    """

    name = "endless/1"
    is_permutation = False

    def __init__(self, order: OrderLike = "randperm") -> None:
        self._order = order_of(order)

    @property
    def parameters(self) -> dict[str, Any]:
        """The order of each shuffle."""
        return {"of": described(self._order)}

    def check(self, num_samples: int) -> None:
        """Refuse to run through nothing, and what the order of each shuffle refuses."""
        self._order.check(num_samples)
        if not self._order.length(num_samples):
            raise ValueError("num_samples=0: an endless run needs a sample")

    def length(self, num_samples: int) -> int:
        """Return the number of positions, which stands for no end."""
        return LENGTH

    def stream(self, *, num_samples: int, seed: int, epoch: int) -> Stream:
        """Return the run; the one of a later epoch has a seed of its own."""
        return self.epoch_stream([Era(num_samples=num_samples, parameters=self.parameters)], seed=seed, epoch=epoch)

    def epoch_stream(self, eras: Sequence[Era], *, seed: int, epoch: int) -> Stream:
        """Return the run, in which the data set may have grown.

        Raises:
            ValueError: the epoch is not 0.
        """
        if epoch:
            raise ValueError(f"epoch={epoch}: an endless run is all of it epoch 0; leave set_epoch out")
        return self.run(eras, seed=seed)

    def run(self, eras: Sequence[Era], *, seed: int) -> Stream:
        """Return the run itself."""
        return self._order.run([_inner(era) for era in eras], seed=seed)

    def why_not_amended(self, saved: Era, ours: Era) -> str | None:
        """Ask the order of each shuffle; how long its epochs would be is nothing to a run."""
        if saved.parameters["of"]["order"] != ours.parameters["of"]["order"]:
            return "it would run through a different order, in which the position means nothing"
        return self._order.why_not_amended(_inner(saved, ours), _inner(ours))

    def stands_for(self, first: Era, latest: Era, ours: Era) -> bool:
        """Ask the order of each shuffle."""
        return self._order.stands_for(_inner(first, ours), _inner(latest, ours), _inner(ours))


def _inner(era: Era, like: Era | None = None) -> Era:
    """An era of the order of each shuffle, with epochs as long as in another one, which they never end in."""
    parameters = {name: value for name, value in era.parameters["of"].items() if name != "order"}
    if like is not None and _OF_EPOCHS in parameters:
        parameters[_OF_EPOCHS] = like.parameters["of"].get(_OF_EPOCHS)
    return replace(era, parameters=parameters)
