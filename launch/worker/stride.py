"""The steps of most loops, as far as they are like the one before."""

from __future__ import annotations

from resumable.launch.evidence.rank_records import AnyRecord, Backward, Batch


class Stride:
    """Batches that follow upon the last one in its pass, each with a backward pass that goes back to it alone.

    Args:
        last: The batch that was trained on last.
    """

    def __init__(self, last: Batch) -> None:
        self.last = last
        self.lines: list[AnyRecord] = []

    def takes(self, record: AnyRecord) -> bool:
        """Whether the next line belongs to it; then it is kept."""
        last = self.last
        if type(record) is Batch:
            belongs = (
                len(self.lines) % 2 == 0
                and record.batch == last.batch + 1
                and record.epoch == last.epoch
                and record.loader == last.loader
                and record.grad_enabled
            )
            self.last = record if belongs else last
        elif type(record) is Backward:
            belongs = (
                len(self.lines) % 2 == 1
                and record.batches == [last.sequence]
                and not record.beside
                and not record.carries
            )
        else:
            return False
        if belongs:
            self.lines.append(record)
        return belongs

    @property
    def is_whole(self) -> bool:
        """Whether a step would end it: each of its batches, of which there is one at least, has its backward pass."""
        return len(self.lines) % 2 == 0 and bool(self.lines)

    @property
    def has_backward(self) -> bool:
        """Whether a backward pass is part of it."""
        return len(self.lines) > 1

    def end(self) -> list[Batch]:
        """Its batches, the step having come: what comes may be the next stride."""
        batches = [line for line in self.lines if type(line) is Batch]
        self.lines.clear()
        return batches
