"""Which positions of an epoch's stream one rank reads: arithmetic only."""

from dataclasses import dataclass

from resumable.samplers.arguments import DropLast


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """One rank's part of the rest of an epoch.

    With `num_replicas` ranks, row `k` of the rest is the positions `start + k * num_replicas` onwards, one a rank. A
    last row that the stream does not fill is padded from the stream's own start (position `p` beyond the end is read
    at `p % num_samples`), as torch's `DistributedSampler` pads a whole epoch, or is dropped.

    Padding from the *remainder* would be wrong: it may be shorter than the row, and the padding would then depend on
    where the job was stopped.
    """

    num_samples: int
    """Length of the stream."""
    start: int
    """First position that is still to be read by any rank, `0 <= start <= num_samples`."""
    num_replicas: int
    rank: int
    batch_size: int
    """Samples that one rank trains on at a time."""
    drop_last: DropLast
    """True drops a last row that is not full, `"global"` a last global batch that is not full."""
    whole_batches: bool = False
    """Whether the rank's loader drops a last batch that is not full; those samples are then not dealt out at all."""

    @property
    def num_rows(self) -> int:
        """Number of samples that each rank reads, padding included; the same for all ranks."""
        rest = self.num_samples - self.start
        if self.drop_last == "global":
            return rest // (self.num_replicas * self.batch_size) * self.batch_size
        num_rows = rest // self.num_replicas if self.drop_last else -(-rest // self.num_replicas)
        return num_rows - num_rows % self.batch_size if self.whole_batches else num_rows

    @property
    def num_padding(self) -> int:
        """How many of this rank's samples are padding: 0 or 1, and then it is the last one."""
        last = self.start + (self.num_rows - 1) * self.num_replicas + self.rank
        return int(self.num_rows > 0 and last >= self.num_samples)

    def positions(self, first_row: int, stop_row: int) -> range:
        """Positions of this rank in rows `first_row` to `stop_row`; those beyond the stream's end are padding."""
        first = self.start + self.rank
        return range(first + first_row * self.num_replicas, first + stop_row * self.num_replicas, self.num_replicas)

    def consumed(self, num_rows: int) -> int:
        """Position in the stream up to which all ranks are done once each has read `num_rows` rows.

        The last row takes everything that is left with it: padding is not counted, and a tail that is dropped is over.
        """
        if num_rows >= self.num_rows:
            return self.num_samples
        return self.start + num_rows * self.num_replicas
