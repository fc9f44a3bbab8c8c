from __future__ import annotations

import pytest

from resumable.launch.evidence.loop_profile import LoopProfile
from resumable.launch.plan.fault_grammar import parse_when
from resumable.launch.plan.fault_model import When
from resumable.launch.reading.timeline import assemble
from resumable.launch.sweep.training_length import training_length_of
from tests.launch import histories
from tests.launch.histories import Job
from tests.launch.sweep.sweeps import LENGTH

JOB = Job()


def moment(text: str) -> When:
    when = parse_when(text)
    assert when is not None
    return when


@pytest.mark.parametrize(
    ("text", "rank", "expected"),
    [
        ("step=0", 0, True),
        ("step=11", 1, True),
        ("step=12", 0, False),
        ("batch=11", 1, True),
        ("batch=12", 1, False),
        ("epoch=2,batch=3", 0, True),
        ("epoch=2,batch=4", 0, False),
        ("epoch=3,batch=0", 0, False),
        ("save#2+before", 0, True),
        ("save#3", 0, False),
        ("save#0", 1, False),
        ("resume+2", 1, True),
        ("load#0", 0, True),
        ("step=0", 2, False),
    ],
)
def test_a_rank_has_the_moments_that_it_came_to_without_a_fault(text: str, rank: int, expected: bool) -> None:
    """The last step is one of them; what follows a restart is taken on trust."""
    assert expected == LENGTH.has(moment(text), rank)


@pytest.mark.parametrize(
    ("text", "rank", "expected"), [("step=3", 0, False), ("step=4", 0, True), ("step=9", 1, False)]
)
def test_a_checkpoint_is_there_once_its_rank_has_written_one(text: str, rank: int, expected: bool) -> None:
    """The checkpoint of 4 steps is written after step 3, which is later than a fault at step 3."""
    assert expected == LENGTH.has_checkpoint(moment(text), rank)


def test_the_length_is_what_the_reference_did() -> None:
    """Steps and batches are those of its timelines."""
    length = training_length_of(assemble(histories.reference(JOB), LoopProfile()))
    num_steps = len(JOB.epochs_from(0, 0)) * JOB.num_batches
    assert [num_steps] * JOB.world_size == [own.num_steps for own in length.ranks.values()]
    assert num_steps == length.num_steps == len(length.ranks[1].batches)
