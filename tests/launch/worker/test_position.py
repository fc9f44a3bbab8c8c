"""What "batch 3 of epoch 1" and "step 7" mean inside a rank, and that the reader of its lines means the same."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resumable.launch.evidence.fingerprints import Fingerprint
from resumable.launch.evidence.loop_profile import profile_of
from resumable.launch.evidence.rank_records import (
    FIRST_INPUT,
    AnyRecord,
    Backward,
    Batch,
    EpochEnd,
    Load,
    Loader,
    Save,
    Step,
    StepCount,
    encode_line,
)
from resumable.launch.reading.trajectory import trace
from resumable.launch.worker.lineage import EarlierSave, Lineage, earlier_saves, read_earlier
from resumable.launch.worker.places import Upcoming
from resumable.launch.worker.position import Position
from tests.launch.reading.test_trajectory import process

LENGTH = 3
INPUT = Batch(sequence=0, time_ns=0, loader=FIRST_INPUT, epoch=0, batch=0, digest="d")


LINES = count(1)


def batch(epoch: int, number: int) -> Batch:
    return Batch(sequence=next(LINES), time_ns=0, loader=0, epoch=epoch, batch=number, indices=[number])


def step(number: int, *, after: str, count: StepCount | None, before: str | None = None) -> Step:
    return Step(sequence=0, time_ns=0, step=number, before=before, after=after, since_start=count)


def train(position: Position, *batches: tuple[int, int]) -> StepCount | None:
    """One step for each batch; the count after the last."""
    position.follow(Loader(sequence=0, time_ns=0, loader=0, dataset="D", num_batches=LENGTH))
    count = None
    for epoch, number in batches:
        position.follow(batch(epoch, number))
        position.follow(Backward(sequence=0, time_ns=0))
        count = position.count_step()
        position.follow(step(position.num_steps, after="", count=None))
    return count


def lineage_after(*batches: tuple[int, int]) -> list[list[AnyRecord]]:
    """What a process leaves that trained on these; its parameters are called after the number of steps."""
    position = Position(None)
    records: list[AnyRecord] = []
    for number, trained in enumerate(batches):
        count = train(position, trained)
        records += [batch(*trained), Backward(sequence=0, time_ns=0)]
        before = "state 0" if number == 0 else None
        records.append(step(number, before=before, after=f"state {number + 1}", count=count))
    return [records]


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
    position.follow(batch(0, 0))
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
        position.follow(INPUT)
        assert position.upcoming(INPUT) == Upcoming(batch=number, epoch=0, epoch_batch=number)
        position.follow(Backward(sequence=0, time_ns=0))
        position.follow(step(number, after="", count=None))


def test_unknown_parameters_leave_the_position_open() -> None:
    """A process that starts from parameters that nobody had says nothing rather than something wrong."""
    position = Position(lineage_after((0, 0)))
    position.resume_at("never seen")
    assert (position.is_known, position.upcoming(batch(0, 0)), train(position, (0, 0))) == (False, None, None)


CONTENT = {"model": Fingerprint(whole="m", num_whole=1), "epoch": Fingerprint(whole="e", num_whole=1)}
OTHER = {**CONTENT, "model": Fingerprint(whole="o", num_whole=1)}


@pytest.mark.parametrize(
    ("saves", "expected"),
    [
        ([EarlierSave(OTHER, 1), EarlierSave(CONTENT, 2)], Upcoming(batch=2, epoch=0, epoch_batch=2)),
        ([EarlierSave(OTHER, 1), EarlierSave(CONTENT, None)], None),
        ([EarlierSave(CONTENT, 7)], None),
    ],
)
def test_what_was_read_says_where_parameters_come_from_that_no_step_left(
    saves: list[EarlierSave], expected: Upcoming | None
) -> None:
    """They may be normalised after it, clipped, or averaged; a rank that has not done as many steps does not know."""
    position = Position(lineage_after((0, 0), (0, 1), (0, 2)), lambda: saves)
    position.follow(Load(sequence=0, time_ns=0, path="", fingerprints={"model": CONTENT["model"]}))
    position.resume_at("clipped")
    position.follow(Loader(sequence=0, time_ns=0, loader=0, dataset="D", num_batches=LENGTH))
    position.follow(first := batch(0, 2))
    assert position.upcoming(first) == expected


def test_a_killed_writers_last_line_does_not_hide_the_others(tmp_path: Path) -> None:
    """A torn line ends the file that it stands in; one that nobody may open is as if it were not there."""
    count = StepCount(num_steps=1, num_batches=1, epoch=0, epoch_batches=1)
    line = encode_line(step(0, before="a", after="b", count=count))
    (tmp_path / "events.jsonl").write_bytes(line + line[: len(line) // 2])
    [records, none] = read_earlier([tmp_path / "events.jsonl", tmp_path])
    assert (Lineage(records).find("b"), none) == (count, [])


def test_a_save_is_of_the_step_before_it(tmp_path: Path) -> None:
    """One before the first step is of nobody knows which."""
    count = StepCount(num_steps=5, num_batches=5, epoch=0, epoch_batches=5)
    save = Save(sequence=0, time_ns=0, path="a", phase="begin", fingerprints=CONTENT)
    lines = [save, step(0, before="a", after="b", count=count), save, msgspec.structs.replace(save, phase="end")]
    (tmp_path / "events.jsonl").write_bytes(b"".join(map(encode_line, lines)))
    assert earlier_saves([tmp_path / "events.jsonl"]) == [EarlierSave(CONTENT, None), EarlierSave(CONTENT, 5)]


def counts_in_rank(lines: tuple[AnyRecord, ...]) -> list[tuple[int, int, int]]:
    """Batches since training began, epoch, batches of the epoch, as a rank counts them at each of its steps."""
    position = Position(None)
    counts = []
    for line in lines:
        if isinstance(line, Step) and position.has_backward:
            count = position.count_step()
            assert count is not None
            counts.append((count.num_batches, count.epoch, count.epoch_batches))
        position.follow(line)
    return counts


def counts_in_reader(word: str) -> list[tuple[int, int, int]]:
    """The same, as they are read from the lines of the process."""
    lines = process(word).records
    counts, num_batches, num_of_epoch = [], 0, {}
    streams = profile_of([(0, lines)]).interleaves_loaders
    last = (0, 0)
    for done in trace(process(word), profile_of([(0, lines)])).steps:
        for one in done.batches:
            last = (one.loader if streams else 0, one.epoch)
            num_of_epoch[last] = num_of_epoch.get(last, 0) + 1
            num_batches += 1
        counts.append((num_batches, last[1], num_of_epoch.get(last, 0)))
    return counts


SHAPES = {
    "plain": "a^.b^.c^.|",
    "accumulation": "a^b^.c^d^.|",
    "a part of a step at the end": "a^b^.c^.|",
    "taken together": "ab^^.cd^^.|",
    "validation without autograd": "a^.b^.|vv!",
    "validation with autograd": "a^.b^.c^.|CD!",
    "validation that is broken off": "a^.b^.c^.|CD",
    "side by side": "aA^.bB^.cC^.|!",
    "in turns": "a^.A^.b^.B^.|!",
    "two optimizers": "a^..b^..|",
    "two backward passes a batch": "a^^.b^^.|",
    "an epoch and the rest of it": "a^.b^.|",
}


@pytest.mark.parametrize("warm_up", ["", ".", "x^", "x^."])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@given(num_epochs=st.integers(2, 4))
def test_a_rank_and_its_reader_count_alike(shape: str, warm_up: str, num_epochs: int) -> None:
    """At the end of each epoch the trigger is where the checks will be, once the loop has shown how it works."""
    word = warm_up + shape * num_epochs
    assert counts_in_reader(word)[-1] == counts_in_rank(process(word).records)[-1]


@pytest.mark.parametrize("shape", [*SHAPES.values(), "a^" * 40 + ".|"], ids=[*SHAPES, "much accumulation"])
def test_steps_are_counted_from_the_first(shape: str) -> None:
    """Micro-batches before the first step are none, though nothing has shown yet that the job has steps."""
    position, counts = Position(None), []
    for line in process(shape * 2).records:
        if isinstance(line, Step) and position.has_backward:
            counts.append(position.count_step())
        position.follow(line)
    assert list(range(1, len(counts) + 1)) == [one and one.num_steps for one in counts]


def test_a_warm_up_with_a_step_is_no_step() -> None:
    """One optimizer step on data of its own making, before the first batch of a loader."""
    position = Position(None)
    for line in process("x^.a^.b^.").records:
        position.follow(line)
    count = position.count_step()
    assert count is not None
    assert (position.num_steps, count.num_batches) == (2, 2)


def test_the_first_batch_after_a_warm_up_is_batch_0() -> None:
    """A fault that waits for it must not miss it, although only inputs of a model were trained on by then."""
    position = Position(None)
    lines = process("x^.a").records
    for line in lines:
        position.follow(line)
    assert position.upcoming(lines[-1]) == Upcoming(batch=0, epoch=0, epoch_batch=0)


def test_loaders_that_take_turns_have_epochs_of_their_own() -> None:
    """A change of the loader is no new epoch."""
    position = Position(None)
    lines = process("a^.A^.b^.B^.c").records
    for line in lines:
        position.follow(line)
    assert position.upcoming(lines[-1]) == Upcoming(batch=4, epoch=0, epoch_batch=2)


@pytest.mark.parametrize(
    ("dataset", "expected"), [("D", Upcoming(batch=LENGTH, epoch=1, epoch_batch=0)), ("of a validation", None)]
)
def test_behind_a_loader_that_only_skips_comes_the_one_that_was_trained_on(
    dataset: str, expected: Upcoming | None
) -> None:
    """Its first batch begins the next epoch, although this process has trained on none of it yet."""
    [life] = lineage_after((0, 0))
    whole = Loader(sequence=0, time_ns=0, loader=0, dataset="D", num_batches=LENGTH)
    position = Position([[whole, *life]])
    position.resume_at("state 1")
    for number in range(LENGTH - 1):
        position.follow(Loader(sequence=0, time_ns=0, loader=0, dataset="D", num_batches=LENGTH - 1))
        for line in (batch(0, number), Backward(sequence=0, time_ns=0), step(number, after="", count=None)):
            position.follow(line)
    first = Batch(sequence=next(LINES), time_ns=0, loader=1, epoch=0, batch=0, indices=[0])
    position.follow(Loader(sequence=0, time_ns=0, loader=1, dataset=dataset, num_batches=LENGTH))
    position.follow(first)
    assert position.upcoming(first) == expected
