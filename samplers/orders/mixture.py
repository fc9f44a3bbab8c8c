"""`mixture/1`: several data sets by weight, each through its own shuffles."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import msgspec

from resumable.samplers.orders.ingredients import Ingredients
from resumable.samplers.orders.mixed import MixedRun, Piece
from resumable.samplers.orders.named import OrderLike, order_of
from resumable.samplers.orders.order import Order, described
from resumable.samplers.orders.stream import Era, Stream

LIMIT = 2**62


class Mixture(Order):
    """Samples of several data sets by weight; the data set is their `ConcatDataset`, in the order of `sizes`.

    Each block of 32 positions holds each member as often as its weight asks for, up to one, and over the blocks nothing is
    lost to rounding (see `Interleaving`); within a block, the members come in random order. Each member goes through an
    order of its own, epoch after epoch of itself, which no other member's weight or size changes. The mixture's own epochs
    are pieces of one run: what a member has left at the end of one, it goes on with in the next.

    Weights may change, members grow, and new ones be appended, from a position on: load the state into a sampler with the
    new mixture and `allow=["stream.parameters"]`, with `"stream.num_samples"` where sizes changed. A weight of 0 retires a
    member. The state keeps what held before, so that old positions keep their meaning.

    A seek takes time that grows with the logarithm of the position, and what a seek in the members' orders takes.

    Args:
        sizes: Samples in each data set.
        weights: How often each comes, in proportion, 0 or more.
        names: A name for each data set, by which its shuffles are known; its number if None.
        order: Order of each data set, for all the same or one for each; names or orders.
        epoch_length: Positions in an epoch of the mixture; the sum of all sizes if None. Of no meaning in `Endless`.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: lengths differ, a name occurs twice, a size or weight is out of range, or no such order exists.
    """

    name = "mixture/1"
    is_permutation = False

    def __init__(
        self,
        sizes: Sequence[int],
        weights: Sequence[float],
        *,
        names: Sequence[str] | None = None,
        order: OrderLike | Sequence[OrderLike] = "feistel",
        epoch_length: int | None = None,
    ) -> None:
        names = [str(number) for number in range(len(sizes))] if names is None else names
        orders: Sequence[OrderLike] = [order] * len(sizes) if isinstance(order, str | Order) else order
        if not len(sizes) == len(weights) == len(names) == len(orders):
            raise ValueError(
                f"{len(sizes)} sizes, {len(weights)} weights, {len(names)} names and {len(orders)} orders: expected one of "
                "each for every data set"
            )
        if len(set(names)) < len(names):
            raise ValueError(f"names={list(names)}: expected different ones")
        self._orders = [order_of(member) for member in orders]
        members = [
            {"name": name, "size": int(size), "weight": float(weight), "of": described(member)}
            for name, size, weight, member in zip(names, sizes, weights, self._orders, strict=True)
        ]
        try:
            self._ingredients = msgspec.convert(
                {"members": members, "epoch_length": sum(map(int, sizes)) if epoch_length is None else epoch_length},
                Ingredients,
                strict=True,
            )
        except msgspec.ValidationError as error:
            raise ValueError(f"mixture of sizes={list(sizes)}, weights={list(weights)}: {error}") from error
        if not 0 < sum(weights) < float("inf"):
            raise ValueError(f"weights={list(weights)}: expected a positive and finite sum")

    @classmethod
    def of(
        cls,
        data: Mapping[str, tuple[int, float]],
        *,
        order: OrderLike | Sequence[OrderLike] = "feistel",
        epoch_length: int | None = None,
    ) -> Self:
        """Return the mixture of named data sets, each with its size and its weight."""
        sizes, weights = [size for size, _ in data.values()], [weight for _, weight in data.values()]
        return cls(sizes, weights, names=list(data), order=order, epoch_length=epoch_length)

    @property
    def parameters(self) -> dict[str, Any]:
        """Members with their names, sizes, weights and orders, and the length of an epoch."""
        plain: dict[str, Any] = msgspec.to_builtins(self._ingredients)
        return plain

    def check(self, num_samples: int) -> None:
        """Refuse a data set that is not as long as its parts together."""
        expected = sum(self._ingredients.sizes)
        if num_samples != expected:
            raise ValueError(
                f"a data set of {num_samples} samples, but sizes={self._ingredients.sizes} make {expected}: expected the "
                "ConcatDataset of the members"
            )

    def length(self, num_samples: int) -> int:
        """Return the length of an epoch, which says nothing of the number of samples."""
        return self._ingredients.epoch_length

    def stream(self, *, num_samples: int, seed: int, epoch: int) -> Stream:
        """Return the stream of an epoch: a piece of the run."""
        return self.epoch_stream([Era(num_samples=num_samples, parameters=self.parameters)], seed=seed, epoch=epoch)

    def epoch_stream(self, eras: Sequence[Era], *, seed: int, epoch: int) -> Stream:
        """Return a piece of the run."""
        length = self._ingredients.epoch_length
        if (epoch + 1) * length >= LIMIT:
            raise ValueError(f"epoch={epoch}: a mixture has fewer epochs of epoch_length={length}")
        starts = [era.epoch * length + era.consumed for era in eras]
        return Piece(MixedRun(starts, eras, self._orders, seed), epoch * length)

    def run(self, eras: Sequence[Era], *, seed: int) -> Stream:
        """Return the run."""
        return MixedRun([era.consumed for era in eras], eras, self._orders, seed)

    def why_not_amended(self, saved: Era, ours: Era) -> str | None:
        """Return which member was taken away or changed, or made smaller."""
        lengths = [Ingredients.of(era).epoch_length for era in (saved, ours)]
        if lengths[0] != lengths[1]:
            return f"an epoch of a mixture keeps its length: give epoch_length={lengths[0]}"
        theirs, mine = (Ingredients.of(era).members for era in (saved, ours))
        for known, new in zip(theirs, [*mine, *[None] * len(theirs)], strict=False):
            if new is None or (known.name, known.of) != (new.name, new.of):
                return f"member {known.name!r} was taken away, renamed or given a different order: give it weight 0"
            if known.size > new.size:
                return f"member {known.name!r} has lost samples, of which some may have been consumed"
        return None

    def stands_for(self, first: Era, latest: Era, ours: Era) -> bool:
        """Whether the data is that of the latest amendment, and the weights are those from before the first one."""
        began, theirs, mine = (Ingredients.of(era).members for era in (first, latest, ours))
        weights = {member.name: member.weight for member in theirs} | {member.name: member.weight for member in began}
        meant = [msgspec.structs.replace(member, weight=weights[member.name]) for member in theirs]
        return meant == mine
