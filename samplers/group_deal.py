"""Groups of samples, dealt out to ranks."""

from bisect import bisect_right

from resumable.samplers.arguments import DropLast
from resumable.samplers.groups import GroupStream

_MAX_ROWS = 4096


class GroupWalk:
    """The groups of an epoch's stream from a position on, by number; blocks are read as far as was asked for.

    Of each block only where it begins is kept, and the number of its first group.

    Raises:
        ValueError: no group begins at `start`.
    """

    def __init__(self, stream: GroupStream, start: int) -> None:
        self._stream = stream
        self._start = start
        self._block_starts: list[int] = []
        self._first_groups: list[int] = []
        self.num_known = 0
        """Number of groups in the blocks that were read."""
        self._end = start
        self._skipped = 0
        """Groups of the first block that lie before `start`."""
        if start < stream.length:
            block = stream.block(start)
            self._skipped = int(block.borders.searchsorted(start))
            if block.borders[self._skipped] != start:
                raise ValueError(
                    f"no group begins at sample {start} of the epoch's stream: was start_iter set before the epoch was "
                    "named, or have lengths changed?"
                )

    @property
    def is_complete(self) -> bool:
        """Whether all blocks were read."""
        return self._end >= self._stream.length

    def reach(self, num_groups: int) -> bool:
        """Read until so many groups are known; return whether there are so many."""
        while self.num_known < num_groups and not self.is_complete:
            self._read()
        return self.num_known >= num_groups

    def reach_position(self, position: int) -> int:
        """Return how many groups end at or before a position."""
        while self._end < position and not self.is_complete:
            self._read()
        if position >= self._end:
            return self.num_known
        number = bisect_right(self._block_starts, position) - 1
        block = self._stream.block(self._block_starts[number])
        before = int(block.borders.searchsorted(position, side="right")) - 1
        return max(0, self._first_groups[number] + before - (self._skipped if number == 0 else 0))

    def group(self, number: int) -> list[int]:
        """Return the samples of a group that is known."""
        block, place = self._find(number)
        return self._stream.block(block).group(place)

    def positions(self, number: int) -> range:
        """Return the positions of a group that is known."""
        block, place = self._find(number)
        borders = self._stream.block(block).borders
        return range(int(borders[place]), int(borders[place + 1]))

    def _find(self, number: int) -> tuple[int, int]:
        """Return a group's block, by its start, and the group's place in it."""
        block = bisect_right(self._first_groups, number) - 1
        place = number - self._first_groups[block] + (self._skipped if block == 0 else 0)
        return self._block_starts[block], place

    def _read(self) -> None:
        block = self._stream.block(self._end)
        num_groups = block.num_groups - (0 if self._block_starts else self._skipped)
        self._block_starts.append(block.start)
        self._first_groups.append(self.num_known)
        self.num_known += num_groups
        self._end = block.stop


class GroupDeal:
    """One rank's groups: rank `r` of `W` reads every `W`-th from the `r`-th on.

    A last row that does not suffice for all ranks is padded with the epoch's first groups, or dropped.

    Raises:
        ValueError: no group begins at `start`.
    """

    def __init__(
        self,
        stream: GroupStream,
        *,
        start: int,
        num_replicas: int,
        rank: int,
        batch_size: int,
        drop_last: DropLast,
        whole_batches: bool,
    ) -> None:
        self.start = start
        self.batch_size = batch_size
        self._stream = stream
        self._num_replicas = num_replicas
        self._rank = rank
        self._drop_last = drop_last
        self._whole_batches = whole_batches
        self._walk = GroupWalk(stream, start)
        self._first_walk: GroupWalk | None = None

    @property
    def num_rows(self) -> int:
        """Number of groups that each rank reads; it takes a walk through the rest of the epoch, once."""
        while not self._walk.is_complete:
            self._walk.reach(self._walk.num_known + 1)
        return self._rows_of(self._walk.num_known)

    def has_row(self, row: int) -> bool:
        """Whether there is a row of this number."""
        whole = self._drop_last == "global" or self._whole_batches
        needed = (row // self.batch_size + 1) * self.batch_size if whole else row + 1
        return self._walk.reach(needed * self._num_replicas) or row < self.num_rows

    def next_stop(self, row: int) -> int:
        """Return the rows that are complete with the block of the next row."""
        if not self.has_row(row):
            return row
        if self._walk.is_complete:
            return min(self.num_rows, row + _MAX_ROWS)
        whole = self._walk.num_known // self._num_replicas
        return min(max(row + 1, whole - whole % self.batch_size), row + _MAX_ROWS)

    def items(self, first: int, stop: int) -> list[list[int]]:
        """Return this rank's groups of some rows."""
        return [self._group(row) for row in range(first, stop)]

    def consumed(self, num_rows: int) -> int:
        """Return the position up to which all ranks are done."""
        if num_rows <= 0:
            return self.start if self.has_row(0) else self._stream.length
        if not self.has_row(num_rows):
            return self._stream.length
        return self._walk.positions(num_rows * self._num_replicas - 1).stop

    def rows_before(self, position: int) -> int:
        """Return how many whole rows end at or before a position."""
        if position >= self._stream.length:
            return self.num_rows
        return self._walk.reach_position(position) // self._num_replicas

    def positions(self, row: int) -> range:
        """Return the positions of this rank's group in a row; none if it is padding."""
        number = row * self._num_replicas + self._rank
        return self._walk.positions(number) if self._walk.reach(number + 1) else range(0)

    def padding(self, row: int) -> list[bool]:
        """Return which samples of this rank's group in a row are padding: all of them or none."""
        is_padding = not self._walk.reach(row * self._num_replicas + self._rank + 1)
        return [is_padding] * len(self._group(row))

    def in_batches(self, batch_size: int, *, drop_last: bool) -> "GroupDeal":
        """Return it as a loader takes it."""
        return GroupDeal(
            self._stream,
            start=self.start,
            num_replicas=self._num_replicas,
            rank=self._rank,
            batch_size=batch_size,
            drop_last=self._drop_last,
            whole_batches=self._whole_batches or drop_last,
        )

    def _rows_of(self, num_groups: int) -> int:
        if self._drop_last == "global":
            return num_groups // (self._num_replicas * self.batch_size) * self.batch_size
        rows = num_groups // self._num_replicas if self._drop_last else -(-num_groups // self._num_replicas)
        return rows - rows % self.batch_size if self._whole_batches else rows

    def _group(self, row: int) -> list[int]:
        number = row * self._num_replicas + self._rank
        if self._walk.reach(number + 1):
            return self._walk.group(number)
        if self._first_walk is None:
            self._first_walk = GroupWalk(self._stream, 0)
        beyond = number - self._walk.num_known
        if not self._first_walk.reach(beyond + 1):
            beyond %= self._first_walk.num_known
        return self._first_walk.group(beyond)
