"""Groups of samples, dealt out to ranks."""

from bisect import bisect_right

from resumable.samplers.arguments import DropLast
from resumable.samplers.deal import Item
from resumable.samplers.finished import NOTHING, Finished
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
    """One rank's groups: rank `r` of `W` reads every `W`-th of those that are left from the `r`-th on.

    A last row that does not suffice for all ranks is padded with the epoch's first groups, or dropped.

    Raises:
        ValueError: no group begins at `start`, or what is finished are no whole groups.
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
        finished: Finished = NOTHING,
    ) -> None:
        self.start = start
        self.finished = finished
        self.num_replicas = num_replicas
        self.rank = rank
        self.batch_size = batch_size
        self._stream = stream
        self._drop_last = drop_last
        self._whole_batches = whole_batches
        self._walk = GroupWalk(stream, start)
        self._over = Finished.of(self._numbers(*run) for run in finished.runs)
        self._first_walk: GroupWalk | None = None

    @property
    def num_rows(self) -> int:
        """Number of groups that each rank reads; it takes a walk through the rest of the epoch, once."""
        while not self._walk.is_complete:
            self._walk.reach(self._walk.num_known + 1)
        return self._rows_of(self._num_known)

    def has_row(self, row: int) -> bool:
        """Whether there is a row of this number."""
        whole = self._drop_last == "global" or self._whole_batches
        needed = (row // self.batch_size + 1) * self.batch_size if whole else row + 1
        return self._has(needed * self.num_replicas - 1) or row < self.num_rows

    def next_stop(self, row: int, unit: int = 1) -> int:
        """Return the rows that are complete with the block of the next row, or with the blocks of the next unit."""
        if not self.has_row(row):
            return row
        self._has((row + unit) * self.num_replicas - 1)
        whole = self._num_known // self.num_replicas
        known = self.num_rows if self._walk.is_complete else max(row + 1, whole - whole % self.batch_size)
        num_units = min(known - row, _MAX_ROWS) // unit
        return min(row + max(num_units, 1) * unit, known)

    def items(self, first: int, stop: int) -> list[Item]:
        """Return this rank's groups of some rows."""
        return [self._group(row) for row in range(first, stop)]

    def consumed(self, num_rows: int) -> int:
        """Return the position up to which all ranks are done."""
        if not self.has_row(num_rows):
            return self._stream.length
        return self._positions(num_rows * self.num_replicas).start

    def rows_before(self, position: int) -> int:
        """Return how many whole rows end at or before a position."""
        if position >= self._stream.length:
            return self.num_rows
        return self._walk.reach_position(position) // self.num_replicas

    def with_finished(self, numbers: Finished) -> tuple[int, Finished]:
        """Return up to where everything is finished, and what is behind that."""
        if not self._has(numbers.up_to(0)) or not self.has_row(numbers.up_to(0) // self.num_replicas):
            return self._stream.length, NOTHING
        known = ((first, stop) for first, stop in numbers.runs if self._has(first))
        runs = [
            (
                self._positions(first).start,
                self._positions(stop - 1 if self._has(stop - 1) else self._num_known - 1).stop,
            )
            for first, stop in known
        ]
        finished = Finished.of([*runs, *self.finished.runs])
        consumed = finished.up_to(self.start)
        return consumed, finished.behind(consumed)

    def positions(self, row: int) -> range:
        """Return the positions of this rank's group in a row; none if it is padding."""
        number = row * self.num_replicas + self.rank
        return self._positions(number) if self._has(number) else range(0)

    def padding(self, row: int) -> list[bool]:
        """Return which samples of this rank's group in a row are padding: all of them or none."""
        is_padding = not self._has(row * self.num_replicas + self.rank)
        return [is_padding] * len(self._group(row))

    def in_batches(self, batch_size: int, *, drop_last: bool) -> "GroupDeal":
        """Return it as a loader takes it."""
        return GroupDeal(
            self._stream,
            start=self.start,
            finished=self.finished,
            num_replicas=self.num_replicas,
            rank=self.rank,
            batch_size=batch_size,
            drop_last=self._drop_last,
            whole_batches=self._whole_batches or drop_last,
        )

    @property
    def _num_known(self) -> int:
        """Number of groups that are left in what was read."""
        return self._walk.num_known - self._over.count

    def _has(self, number: int) -> bool:
        """Whether so many groups and one are left."""
        return self._walk.reach(self._over.left(number) + 1)

    def _positions(self, number: int) -> range:
        """Return the positions of a group that is left."""
        return self._walk.positions(self._over.left(number))

    def _numbers(self, first: int, stop: int) -> tuple[int, int]:
        """Return which groups lie at positions that are finished, without knowing of others that are."""
        numbers = self._walk.reach_position(first), self._walk.reach_position(stop)
        borders = self._walk.positions(numbers[0]).start, self._walk.positions(numbers[1] - 1).stop
        if borders != (first, stop):
            raise ValueError(f"finished={[first, stop]} are no whole groups: have lengths changed?")
        return numbers

    def _rows_of(self, num_groups: int) -> int:
        if self._drop_last == "global":
            return num_groups // (self.num_replicas * self.batch_size) * self.batch_size
        rows = num_groups // self.num_replicas if self._drop_last else -(-num_groups // self.num_replicas)
        return rows - rows % self.batch_size if self._whole_batches else rows

    def _group(self, row: int) -> list[int]:
        number = row * self.num_replicas + self.rank
        if self._has(number):
            return self._walk.group(self._over.left(number))
        if self._first_walk is None:
            self._first_walk = GroupWalk(self._stream, 0)
        beyond = number - self._num_known
        if not self._first_walk.reach(beyond + 1):
            beyond %= self._first_walk.num_known
        return self._first_walk.group(beyond)
