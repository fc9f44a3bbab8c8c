"""Asks for the samples of an epoch that a sampler described."""

from __future__ import annotations

import msgspec
import pytest

from resumable.launch.reading.described_order import DescribedEpoch, streams
from resumable.samplers import ResumableRandomSampler


@pytest.mark.slow
def test_the_program_that_arranges_answers_each_question() -> None:
    """In a process of its own; also what it cannot answer."""
    sampler = ResumableRandomSampler(range(20), seed=3)  # type: ignore[arg-type]
    epoch = DescribedEpoch(number=0, state=sampler.epoch_state_dict(), num_replicas=1, world_size=1, is_over=True)
    with streams() as arranged:
        answers = [arranged.of(one, 5) for one in (epoch, msgspec.structs.replace(epoch, state={"a": "b"}), epoch)]
    expected = [*sampler][:5]
    assert [expected, [], expected] == [answer.samples for answer in answers]
    assert [bool(answer.why) for answer in answers] == [False, True, False]
