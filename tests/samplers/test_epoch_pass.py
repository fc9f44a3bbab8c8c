"""A pass over the rest of an epoch; the sampler's tests show the rest of it at work."""

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


def test_the_first_samples_wait_for_few_others_and_the_last_ones_for_few_blocks():
    """Each block is longer than all before it, up to a length at which blocks cost nothing any more."""
    stream = Recorded()
    share = Share(num_samples=200_000, start=0, num_replicas=1, rank=0, batch_size=1, drop_last=False)
    epoch_pass = EpochPass(origin=Cursor(), epoch=0, num_moves=0, deal=SampleDeal(share, stream), marks_epoch=False)
    assert list(range(200_000)) == [sample for block in iter(epoch_pass.next_block, None) for sample in block]
    assert stream.lengths[:4] == [64, 448, 3584, 28672]
    assert max(stream.lengths) == 32_768
