"""The iterator that a sampler returns: as fast as a list's, and with a state of its own."""

from collections.abc import Collection, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any, Self, cast

from resumable.samplers.callers import inside_dropping_batch_sampler, inside_prefetching_loader
from resumable.samplers.walk import Walk
from resumable.samplers.wrapping import refuse_wrapping

if TYPE_CHECKING:
    from resumable.samplers.sampler import ResumableSampler


class SamplerIterator(chain[int]):
    """Yields the samples of one pass as plain ints.

    torchdata's `StatefulDataLoader` takes the state of this object with every batch, and so stays exact while its
    workers read ahead.
    """

    _source: "_Blocks"

    @classmethod
    def over(cls, sampler: "ResumableSampler", walk: Walk) -> Self:
        """Return an iterator over a pass that has just begun."""
        source = _Blocks(sampler, walk)
        # A chain yields from within C, four times as fast as a __next__ written in Python would.
        iterator = cast("Self", cls.from_iterable(source))
        iterator._source = source
        return iterator

    def state_dict(self) -> dict[str, Any]:
        """Return the position up to which *this iterator* was drawn, whatever was committed. See `SamplerState`."""
        return self._source.sampler.state_of(self._source.walk)

    def load_state_dict(self, state_dict: Mapping[str, Any], *, allow: Collection[str] = ()) -> None:
        """Go on from a state, as if it had been loaded into the sampler before this iterator was made.

        Raises:
            StateFormatError: the state is damaged.
            StateMismatchError: the state is of another stream.
            RuntimeError: the iterator has ended; take a new one from the sampler.
        """
        if self._source.ended:
            raise RuntimeError("this iterator has ended: load the state into the sampler and call iter() again")
        walk = self._source.walk
        self._source.walk = self._source.sampler.rewalk(walk, state_dict, allow=allow)
        walk.abandon()


class _Blocks(Iterator[Iterator[int]]):
    """The blocks of a pass; the pass may be exchanged under way."""

    def __init__(self, sampler: "ResumableSampler", walk: Walk) -> None:
        self.sampler = sampler
        self.walk = walk
        self.ended = False

    def __next__(self) -> Iterator[int]:
        if not self.walk.begun:
            refuse_wrapping()
            self.walk.read_ahead = inside_prefetching_loader()
            if inside_dropping_batch_sampler():
                self.walk.deal_whole_batches()
        block = self.walk.next_block()
        if block is None:
            self.ended = True
            raise StopIteration
        return block
