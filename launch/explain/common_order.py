"""Compares the common order in which all ranks together go through an epoch with the one that it should be."""

from __future__ import annotations

from collections.abc import Sequence

from resumable.launch.evidence.rank_records import Index
from resumable.launch.explain.codes.batch_problems import EpochLengthDiffers, StreamOrderDiffers, StreamRepeats
from resumable.launch.explain.codes.statement import Problem
from resumable.launch.reading.differences import first_difference
from resumable.launch.reading.global_stream import replayed, without_repeats


def problem_of_order(epoch: int, wanted: Sequence[Index], got: Sequence[Index], num_droppable: int) -> Problem | None:
    """What is wrong with an epoch; None if only its padding or its dropped tail is different.

    Args:
        epoch: Its number.
        wanted: Its samples as they should come.
        got: As they came.
        num_droppable: So many may miss at its end, or be there in addition.
    """
    again = [] if replayed(wanted) else replayed(got)
    if again:
        return StreamRepeats(epoch=epoch, num=len(again), position=again[0])
    wanted, got = without_repeats(wanted), without_repeats(got)
    start = first_difference(wanted, got)
    if start is not None and start < min(len(wanted), len(got)):
        return StreamOrderDiffers(epoch=epoch, position=start)
    if abs(len(wanted) - len(got)) > num_droppable:
        return EpochLengthDiffers(epoch=epoch, num_found=len(got), num_expected=len(wanted))
    return None
