"""A pass over the rest of an epoch; the sampler's tests show the rest of it at work."""

import pytest

from resumable.samplers.cursor import Cursor
from resumable.samplers.deal import SampleDeal
from resumable.samplers.epoch_pass import EpochPass
from resumable.samplers.share import Share


class Recorded:
    """The samples as they lie; notes how many were asked for at a time."""

    def __init__(self):
        self.lengths = []

    def at(self, positions):
        self.lengths.append(len(positions))
        return positions


@pytest.mark.parametrize(("batch_size", "lengths"), [(None, [64, 448, 3584]), (300, [300, 2100, 16_800])])
def test_the_first_samples_wait_for_few_others_and_the_last_ones_for_few_blocks(batch_size, lengths):
    """Each block is longer than all before it, up to a length at which blocks cost nothing any more; batches are whole."""
    stream = Recorded()
    share = Share(num_samples=200_000, start=0, num_replicas=1, rank=0, batch_size=batch_size or 1, drop_last=False)
    epoch_pass = EpochPass(origin=Cursor(), epoch=0, num_moves=0, deal=SampleDeal(share, stream), marks_epoch=False)
    drawn = [
        unit for block in iter(lambda: epoch_pass.next_block(in_batches=batch_size is not None), None) for unit in block
    ]
    samples = list(range(200_000))
    batches = [samples[first : first + 300] for first in range(0, 200_000, 300)]
    assert (samples if batch_size is None else batches) == drawn
    assert lengths == stream.lengths[:3]
    assert max(stream.lengths) <= 33_000
