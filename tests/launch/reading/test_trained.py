import pytest

from resumable.launch.reading.trained import TrainedBatch


@pytest.mark.parametrize(("key", "samples"), [((1, 2), (1, 2)), ("digest", ("digest",)), (None, ())])
def test_a_batch_without_indices_is_one_sample(key, samples):
    """Its digest stands for it."""
    assert samples == TrainedBatch(loader=0, epoch=0, batch=0, key=key, line=1).samples
