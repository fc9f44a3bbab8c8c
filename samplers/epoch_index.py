"""A sample's index that carries its epoch along."""

from typing import Self, overload


class EpochIndex(int):
    """A sample's index that knows its epoch; everywhere else it is the plain number.

    The epoch must travel with the index: workers that live longer than an epoch have a copy of the data set that nobody
    can tell about the next one.
    """

    epoch: int

    def __new__(cls, index: int, epoch: int) -> Self:
        """Mark an index with its epoch."""
        marked = super().__new__(cls, index)
        marked.epoch = epoch
        return marked

    def __reduce__(self) -> tuple[type[Self], tuple[int, int]]:
        return type(self), (int(self), self.epoch)


@overload
def marked(item: int, epoch: int) -> EpochIndex: ...


@overload
def marked(item: list[int], epoch: int) -> list[int]: ...


@overload
def marked(item: int | list[int], epoch: int) -> int | list[int]: ...


def marked(item: int | list[int], epoch: int) -> int | list[int]:
    """Return a sample, or each sample of a group, with its epoch."""
    return EpochIndex(item, epoch) if isinstance(item, int) else [EpochIndex(sample, epoch) for sample in item]
