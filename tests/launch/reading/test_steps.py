"""Steps are as good as a tuple of steps."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resumable.launch.evidence.rank_records import Step
from resumable.launch.reading.differences import first_difference
from resumable.launch.reading.step_table import fingerprint
from resumable.launch.reading.steps import Steps
from resumable.launch.reading.trained import NO_STEP, TrainedBatch, TrainedStep
from tests.launch import histories

KEYS = st.none() | st.text(max_size=2) | st.lists(st.integers(0, 3), max_size=2).map(tuple)


@st.composite
def batches(draw: st.DrawFn) -> TrainedBatch:
    return TrainedBatch(loader=0, epoch=draw(st.integers(0, 2)), batch=0, key=draw(KEYS), line=1)


@st.composite
def steps(draw: st.DrawFn) -> TrainedStep:
    record = Step(sequence=0, time_ns=0, step=0, after=draw(st.sampled_from([None, "a", "b"])))
    return TrainedStep(
        batches=tuple(draw(st.lists(batches(), max_size=2))),
        losses=tuple(draw(st.lists(st.sampled_from([None, 0.0, math.nan]), max_size=2))),
        record=draw(st.sampled_from([NO_STEP, record])),
    )


MANY = st.lists(steps(), max_size=6).map(tuple)


@given(one=MANY, other=MANY, begin=st.integers(0, 7), end=st.integers(0, 12), place=st.integers(0, 11))
def test_parts_are_cut_and_joined_as_of_tuples(one, other, begin, end, place) -> None:
    """Each step is where it would be."""
    expected, found = (one + other)[begin:end], (Steps.of(one) + Steps.of(other))[begin:end]
    assert (len(expected), repr(expected)) == (len(found), repr(tuple(found)))
    assert repr(expected[place : place + 1]) == repr(tuple(found[place : place + 1]))


@given(one=MANY, other=MANY)
def test_the_first_difference_is_that_of_the_steps_themselves(one, other) -> None:
    """Fingerprints hide none and invent none."""
    expected = first_difference(*([(step.keys, step.after) for step in steps] for steps in (one, other)))
    assert expected == Steps.of(one).first_difference(Steps.of(other), "keys", "afters")


@given(one=MANY, epoch=st.integers(0, 3))
def test_epochs_are_found_where_their_batches_are(one, epoch) -> None:
    """Counted on from wherever the process began."""
    found = Steps.of(one).from_epoch(epoch)
    expected = {batch.epoch + epoch for step in one for batch in step.batches}
    assert expected == found.epoch_ranges().keys() == set(found.batch_column("epochs"))
    for name, ranges in found.epoch_ranges().items():
        there = [number for numbers in ranges for number in numbers]
        own = [n for n, step in enumerate(found) if name in {batch.epoch for batch in step.batches}]
        assert own == there


@pytest.mark.parametrize("losses", [(1.0, None), (None,), (), (math.nan,)])
def test_losses_are_kept_as_they_are(losses) -> None:
    """One that was not recorded is no loss that is no number."""
    assert repr(losses) == repr(Steps.of([NOBODYS, TrainedStep(losses=losses)]).losses_of(1))


NOBODYS = TrainedStep(losses=(7.0,))


def test_the_same_index_as_a_number_and_as_text_are_two_samples() -> None:
    """So are a batch that was not identified, an empty one, and none."""
    keys = [(1,), ("1",), "1", (), None]
    assert len({fingerprint(key) for key in keys}) == len(keys)


def test_a_recorded_step_is_read_again_as_it_was_followed() -> None:
    """Its batches, losses and record."""
    life = histories.one_kill().faulted.lives[0]
    step, records = life.steps[2], life.process.records
    assert step.record == records[step.line - 1]
    assert [batch.line for batch in step.batches] == [step.line - 2]
    assert step.losses == (records[step.line - 2].loss,)
