from dataclasses import replace

import pytest

from resumable.launch.reading.global_stream import effective_stream, epochs_of, replayed, without_repeats
from tests.launch import histories
from tests.launch.histories import Job

JOB = Job(num_samples=32)


def test_the_ranks_batches_are_joined_in_turns():
    """Position `j * W + r` of the stream is sample `j` of rank `r`: the order that was dealt out."""
    stream = effective_stream(histories.one_kill(JOB).references[0])
    assert [JOB.order(epoch) for epoch in range(3)] == list(epochs_of(stream).values())


def test_a_stream_goes_on_over_a_restart():
    """What was cut off by a restart is not in it."""
    evidence = histories.one_kill(JOB, at=7, resume=4)
    assert [step.samples for step in effective_stream(evidence.references[0])] == [
        step.samples for step in effective_stream(evidence.faulted)
    ]


@pytest.mark.parametrize("world_size", [1, 4, 8])
def test_a_stream_is_the_same_on_any_number_of_ranks(world_size):
    """As long as nothing is padded, the number of ranks cannot be seen in it."""
    other = replace(JOB, world_size=world_size)
    groups = [histories.killed(JOB, 5), histories.resized(JOB, other, 4)]
    stream = effective_stream(histories.evidence(JOB, groups, [], other).faulted)
    assert [JOB.order(epoch) for epoch in range(3)] == list(epochs_of(stream).values())


def test_padding_is_where_a_sample_comes_again():
    """The first place of each sample counts."""
    assert without_repeats([3, 1, 3, 2, 1]) == [3, 1, 2]


@pytest.mark.parametrize(("samples", "places"), [([3, 1, 2, 3, 1], []), ([3, 1, 3, 2, 1], [2]), ([], []), ([3], [])])
def test_what_comes_again_before_the_end_is_no_padding(samples, places):
    """Padding ends an epoch."""
    assert places == replayed(samples)
