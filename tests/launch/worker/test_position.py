from __future__ import annotations

from pathlib import Path

import pytest

from resumable.launch.evidence.rank_records import (
    FIRST_INPUT,
    AnyRecord,
    Backward,
    Batch,
    EpochEnd,
    Loader,
    Step,
    StepCount,
    encode_line,
)
from resumable.launch.worker.position import Lineage, Position, Upcoming, read_earlier

LENGTH = 3
INPUT = Batch(sequence=0, time_ns=0, loader=FIRST_INPUT, epoch=0, batch=0, digest="d")


def batch(epoch: int, number: int) -> Batch:
    return Batch(sequence=0, time_ns=0, loader=0, epoch=epoch, batch=number, indices=[number])


def step(number: int, *, after: str, count: StepCount | None, before: str | None = None) -> Step:
    return Step(sequence=0, time_ns=0, step=number, before=before, after=after, since_start=count)


def train(position: Position, *batches: tuple[int, int]) -> StepCount | None:
    """One step for each batch; the count after the last."""
    position.follow(Loader(sequence=0, time_ns=0, loader=0, dataset="D", num_batches=LENGTH))
    count = None
    for epoch, number in batches:
        position.follow(batch(epoch, number))
        position.follow(Backward(sequence=0, time_ns=0))
        count = position.count_step(position.num_steps + 1)
    return count


def lineage_after(*batches: tuple[int, int]) -> Lineage:
    """What a process leaves that trained on these; its parameters are called after the number of steps."""
    position = Position(None)
    records: list[AnyRecord] = []
    for number, trained in enumerate(batches):
        count = train(position, trained)
        before = "state 0" if number == 0 else None
        records.append(step(number, before=before, after=f"state {number + 1}", count=count))
    return Lineage(records)


def test_the_first_process_counts_from_the_beginning() -> None:
    """Without restarts, counts are the process's own."""
    assert train(Position(None), (0, 0), (0, 1), (0, 2), (1, 0)) == StepCount(
        num_steps=4, num_batches=4, epoch=1, epoch_batches=1, epoch_length=LENGTH
    )


@pytest.mark.parametrize(
    ("state", "upcoming"),
    [
        ("state 0", Upcoming(batch=0, epoch=0, epoch_batch=0)),
        ("state 2", Upcoming(batch=2, epoch=0, epoch_batch=2)),
        ("state 3", Upcoming(batch=3, epoch=1, epoch_batch=0)),
        ("state 4", Upcoming(batch=4, epoch=1, epoch_batch=1)),
    ],
)
def test_the_parameters_say_where_a_process_goes_on(state: str, upcoming: Upcoming) -> None:
    """The next batch follows from the digest that the process starts from, at a border of epochs too."""
    position = Position(lineage_after((0, 0), (0, 1), (0, 2), (1, 0)))
    position.resume_at(state)
    assert position.upcoming(batch(0, 0)) == upcoming


def test_batches_that_are_only_skipped_do_not_count() -> None:
    """A script that fast-forwards receives batches that it does not train on."""
    position = Position(lineage_after((0, 0), (0, 1)))
    position.resume_at("state 2")
    position.follow(batch(0, 0))
    position.follow(batch(0, 1))
    assert position.upcoming(batch(0, 2)) == Upcoming(batch=2, epoch=0, epoch_batch=2)
    assert train(position, (0, 2)) == StepCount(
        num_steps=3, num_batches=3, epoch=0, epoch_batches=3, epoch_length=LENGTH
    )


def test_a_pass_that_only_evaluates_moves_nothing() -> None:
    """Batches without a backward pass, to the end of their loader, leave the position where it was."""
    position = Position(None)
    train(position, (0, 0))
    position.follow(batch(7, 0))
    position.follow(EpochEnd(sequence=0, time_ns=0, loader=0, epoch=7, num_batches=1))
    position.follow(Backward(sequence=0, time_ns=0))
    assert position.upcoming(batch(0, 1)) == Upcoming(batch=1, epoch=0, epoch_batch=1)


def test_a_warm_up_moves_nothing() -> None:
    """Its batches are made by hand, before the first of a loader."""
    position = Position(None)
    for _ in range(2):
        position.follow(INPUT)
        position.follow(Backward(sequence=0, time_ns=0))
    assert train(position, (0, 0)) == StepCount(
        num_steps=1, num_batches=1, epoch=0, epoch_batches=1, epoch_length=LENGTH
    )


def test_inputs_beside_a_loaders_batches_move_nothing() -> None:
    """Noise for a second model, for example, has a backward pass of its own."""
    position = Position(None)
    train(position, (0, 0))
    assert position.upcoming(INPUT) is None
    position.follow(INPUT)
    position.follow(Backward(sequence=0, time_ns=0))
    assert position.upcoming(batch(0, 1)) == Upcoming(batch=1, epoch=0, epoch_batch=1)


def test_batches_made_by_hand_count_where_there_are_no_others() -> None:
    """All are of one pass."""
    position = Position(None)
    for number in range(2):
        assert position.upcoming(INPUT) == Upcoming(batch=number, epoch=0, epoch_batch=number)
        position.follow(INPUT)
        position.follow(Backward(sequence=0, time_ns=0))
        position.count_step(number + 1)


def test_unknown_parameters_leave_the_position_open() -> None:
    """A process that starts from parameters that nobody had says nothing rather than something wrong."""
    position = Position(lineage_after((0, 0)))
    position.resume_at("never seen")
    assert (position.is_known, position.upcoming(batch(0, 0)), train(position, (0, 0))) == (False, None, None)


def test_a_killed_writers_last_line_does_not_hide_the_others(tmp_path: Path) -> None:
    """A torn line ends the file that it stands in."""
    count = StepCount(num_steps=1, num_batches=1, epoch=0, epoch_batches=1)
    line = encode_line(step(0, before="a", after="b", count=count))
    (tmp_path / "events.jsonl").write_bytes(line + line[: len(line) // 2])
    [records] = read_earlier([tmp_path / "events.jsonl"])
    assert Lineage(records).find("b") == count
