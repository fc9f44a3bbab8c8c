"""Exact evaluation: padding is told from samples."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resumable.samplers import ResumableBatchSampler
from tests.samplers.jobs import ranks_of


@given(
    num_samples=st.integers(1, 60),
    num_replicas=st.integers(1, 9),
    batch_size=st.integers(1, 7),
    drop_last=st.sampled_from([False, True, "global"]),
    skip=st.integers(0, 2),
)
def test_without_the_padding_every_sample_is_there_once(num_samples, num_replicas, batch_size, drop_last, skip):
    """From the start and from a later batch on; where the tail is dropped there is no padding."""
    ranks = ranks_of(num_samples, num_replicas, batch_size=batch_size, drop_last=drop_last)
    kept, padding = [], []
    for sampler in ranks:
        batches = ResumableBatchSampler(sampler)
        batches.start_iter = min(skip, len(batches))
        for number, batch in enumerate(batches):
            marks = sampler.is_padding(number)
            kept += [sample for sample, mark in zip(batch, marks, strict=True) if not mark]
            padding += [sample for sample, mark in zip(batch, marks, strict=True) if mark]
    skipped = min(num_samples, min(skip, len(batches)) * batch_size * num_replicas)
    expected = {False: num_samples - skipped, True: len(kept), "global": len(kept)}[drop_last]
    assert expected == len(kept) == len(set(kept))
    assert bool(drop_last) <= (padding == [])


def test_a_question_before_the_first_pass_is_refused():
    """There is no batch that it could be about."""
    [sampler] = ranks_of(10, 1)
    with pytest.raises(ValueError, match="no pass was begun"):
        sampler.is_padding(0)
