"""Batches in front of a position, for frameworks that count and skip for themselves."""

from collections.abc import Iterator


class SkippedBatches(Iterator[list[int]]):
    """A pass in front of which a framework throws away what it has counted.

    It reads an epoch from its start and drops what was trained on before a restart. The pass stands behind that already, so
    that nothing is drawn for it: it gets empty batches, 10^6 of them in a tenth of a second.

    Args:
        batches: The pass.
        num_skipped: Batches that will be thrown away.
    """

    def __init__(self, batches: Iterator[list[int]], num_skipped: int) -> None:
        self._batches = batches
        self._num_left = num_skipped

    def __next__(self) -> list[int]:
        if self._num_left:
            self._num_left -= 1
            return []
        return next(self._batches)
