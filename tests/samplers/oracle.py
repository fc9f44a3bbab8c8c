"""What a job is to read, told in lists: it knows nothing of cursors, shares, runs or states.

An epoch is a list of items, which are samples or groups of them. What is left of it is a list of their numbers, which ranks
take turns to read. That is all of the three guarantees.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, groupby
from typing import Any, Self


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a job stands."""

    epoch: int
    items: tuple[Any, ...]
    """All of the epoch; of an endless one the first so many."""
    left: tuple[int, ...]
    """Numbers of the items that nobody has finished, ascending."""
    num_samples: int
    """Samples in the data set."""
    skipped: tuple[int, ...] = ()
    """Positions of samples that could not be loaded."""

    @cached_property
    def borders(self) -> list[int]:
        """At which position of the stream each item begins; behind the last one, its end."""
        return [0, *accumulate(len(item) if isinstance(item, list) else 1 for item in self.items)]

    @property
    def state(self) -> dict[str, Any]:
        """What a state says of it."""
        first = self.left[0] if self.left else len(self.items)
        behind = sorted({*range(first, len(self.items))} - {*self.left})
        runs = [[number for _, number in run] for _, run in groupby(enumerate(behind), lambda pair: pair[1] - pair[0])]
        return {
            "epoch": self.epoch,
            "consumed": self.borders[first],
            "finished": [[self.borders[run[0]], self.borders[run[-1] + 1]] for run in runs],
            "skipped": [*self.skipped],
        }


@dataclass(frozen=True, kw_only=True)
class Turns:
    """How ranks read what is left: row by row, an item for each, the last row filled up with the epoch's first items."""

    place: Place
    num_replicas: int
    batch_size: int
    drop_last: bool | str
    whole_batches: bool = False
    """Whether the loaders drop a last batch that is not full."""

    @cached_property
    def num_rows(self) -> int:
        """How many items each rank reads."""
        num_left = len(self.place.left)
        if self.drop_last == "global":
            return num_left // (self.num_replicas * self.batch_size) * self.batch_size
        num_rows = num_left // self.num_replicas if self.drop_last else -(-num_left // self.num_replicas)
        return num_rows - num_rows % self.batch_size if self.whole_batches else num_rows

    def number(self, row: int, rank: int) -> int | None:
        """The number of a rank's item; None if it is padding."""
        turn = row * self.num_replicas + rank
        return self.place.left[turn] if turn < len(self.place.left) else None

    def item(self, row: int, rank: int) -> Any:
        """A rank's item."""
        number = self.number(row, rank)
        if number is None:
            beyond = row * self.num_replicas + rank - len(self.place.left)
            return self.place.items[beyond % len(self.place.items)]
        return self.place.items[number]

    def batch(self, row: int, rank: int) -> list[Any]:
        """A rank's batch that begins with a row."""
        return [self.item(one, rank) for one in range(row, min(row + self.batch_size, self.num_rows))]

    def behind(self, num_rows: int) -> Place:
        """Where the job stands once each rank has done so many rows; a tail that nobody reads is over with the last."""
        is_over = num_rows >= self.num_rows
        return replace(self.place, left=() if is_over else self.place.left[num_rows * self.num_replicas :])

    def without(self, numbers: set[int]) -> Place:
        """Where it stands once items of these numbers are done, in whatever order."""
        is_over = numbers >= {*self.place.left[: self.num_rows * self.num_replicas]}
        left = () if is_over else tuple(number for number in self.place.left if number not in numbers)
        return replace(self.place, left=left)

    def from_batch(self, number: int) -> Self:
        """The turns that begin with a batch, as `start_iter` says it."""
        return replace(self, place=self.behind(number * self.batch_size))
