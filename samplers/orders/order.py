"""The contract of an order, and what all of them share: how an epoch goes on when data is added in its middle."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from resumable.samplers.orders.grown import Grown
from resumable.samplers.orders.keyed import seed_of
from resumable.samplers.orders.run import Run
from resumable.samplers.orders.stream import Era, Stream


class Order(ABC):
    """A way to arrange samples that depends on nothing but its name, its parameters, the seed, the epoch and their number.

    An order of your own has a name with a version and a `stream`; `resumable.samplers.testing.check_order` says whether it
    keeps the laws. Everything else has a default.
    """

    name: str
    """Kind and version, as `randperm/1`. Any change of the order that it yields is a new version."""
    is_permutation = True
    """Whether an epoch holds each sample once; an order that draws samples several times, or not at all, says False."""

    @property
    def parameters(self) -> dict[str, Any]:
        """What else the order depends on, as plain data that survives JSON; it becomes part of the state."""
        return {}

    @abstractmethod
    def stream(self, *, num_samples: int, seed: int, epoch: int) -> Stream:
        """Return the stream of an epoch over so many samples."""

    def check(self, num_samples: int) -> None:  # noqa: B027 - most have nothing to say
        """Refuse a number of samples for which the order is not.

        Raises:
            ValueError: the message says what was expected.
        """

    def length(self, num_samples: int) -> int:
        """Return the number of positions in an epoch over so many samples."""
        return num_samples

    def epoch_stream(self, eras: Sequence[Era], *, seed: int, epoch: int) -> Stream:
        """Return the stream of an epoch in which the data set may have grown.

        What was consumed before stays consumed; the rest and the new samples come once each, shuffled again.

        Args:
            eras: In the order of their starts, the first of them at the start of epoch 0.
            seed: Seed of the order.
            epoch: Number of the epoch.
        """
        num_samples = [era.num_samples for era in eras if era.start <= (epoch, 0)][-1]
        stream = self.stream(num_samples=num_samples, seed=seed, epoch=epoch)
        for era in eras:
            if era.epoch == epoch and era.consumed > 0:
                rest = self.stream(
                    num_samples=era.num_samples - era.consumed,
                    seed=seed_of("rest/1", seed, era.consumed, era.num_samples),
                    epoch=epoch,
                )
                stream = Grown(stream, rest, start=era.consumed, num_samples=num_samples)
                num_samples = era.num_samples
        return stream

    def run(self, eras: Sequence[Era], *, seed: int) -> Stream:
        """Return the endless stream of all epochs, one behind the other; its eras begin in epoch 0."""
        return Run(eras, lambda known, epoch: self.epoch_stream(known, seed=seed, epoch=epoch), self.length)

    def why_not_amended(self, saved: Era, ours: Era) -> str | None:
        """Return why a stream of one description cannot go on as another; None if it can."""
        if saved.parameters != ours.parameters:
            return "such parameters make a different order, in which the position means nothing"
        if self.length(ours.num_samples) != ours.num_samples:
            return "an epoch of this order is not as long as the data set"
        if saved.num_samples > ours.num_samples:
            return "samples were taken away, of which some may have been consumed"
        return None

    def stands_for(self, first: Era, latest: Era, ours: Era) -> bool:
        """Whether a program that describes the stream as at its beginning means the one that was amended since."""
        return False


def described(order: Order) -> dict[str, Any]:
    """Return an order as part of another one's parameters."""
    return {"order": order.name, **order.parameters}
