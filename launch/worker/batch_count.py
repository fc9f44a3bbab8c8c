"""How many batches a process has gone past, and how far it is in its epochs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from resumable.launch.evidence.consumption import ConsumedBatch
from resumable.launch.evidence.rank_records import Batch, EpochEnd


@dataclass(kw_only=True)
class BatchCount:
    """Batches of this process that its training has gone past."""

    num_batches: int = 0
    streams: dict[int, tuple[ConsumedBatch, int]] = field(default_factory=dict)
    """The last batch of each stream, and how far it is in its epoch; the stream of the very last one comes last."""

    @property
    def latest(self) -> Batch | None:
        """The very last one that was trained on."""
        return next((one.batch for one, _ in reversed(self.streams.values())), None)

    def add(self, stream: int, one: ConsumedBatch) -> None:
        """It was trained on now."""
        if not one.is_again:
            num_before, place = self.before(stream, one)
            self.streams.pop(stream, None)
            self.streams[stream] = one, place + 1
            self.num_batches = num_before + 1

    def add_next(self, batch: Batch) -> None:
        """The one after the very last one was trained on now, in the same pass."""
        stream, (last, place) = self.streams.popitem()
        self.streams[stream] = ConsumedBatch(batch=batch, epoch=last.epoch), place + 1
        self.num_batches += 1

    def before(self, stream: int, one: ConsumedBatch) -> tuple[int, int]:
        """Batches that come before it: in all, and in its epoch; those that were looked at and let go are among them.

        In the first epoch of a process only since the first one that was trained on: the others were fast-forwarded.
        """
        last, num = self.streams.get(stream, (None, 0))
        if last is None or last.epoch != one.epoch:
            num_between = one.batch.batch if one.epoch > 0 else 0
            return self.num_batches + num_between, num_between
        is_same_pass = pass_of(last.batch) == pass_of(one.batch)
        num_between = max(one.batch.batch - last.batch.batch, 1) - 1 if is_same_pass else 0
        return self.num_batches + num_between, num + num_between

    def end(self, record: EpochEnd) -> None:
        """A pass ran to its end: what was let go since the last batch that was trained on is behind it too."""
        for stream, (last, num) in self.streams.items():
            if pass_of(last.batch) == (record.loader, record.epoch):
                num_between = max(record.num_batches - 1 - last.batch.batch, 0)
                self.streams[stream] = last, num + num_between
                self.num_batches += num_between

    def with_more(self, more: Iterable[tuple[int, ConsumedBatch]]) -> BatchCount:
        """The same, once these are trained on too."""
        longer = BatchCount(num_batches=self.num_batches, streams=dict(self.streams))
        for stream, one in more:
            longer.add(stream, one)
        return longer


def pass_of(batch: Batch) -> tuple[int, int]:
    """Its loader, and the epoch of that."""
    return batch.loader, batch.epoch
