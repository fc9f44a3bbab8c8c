"""Where the next pass begins, as a value; the sampler's tests show the rest of it at work."""

import pytest

from resumable.samplers.cursor import Cursor

WHOLE = Cursor(epoch=2)


@pytest.mark.parametrize(
    ("cursor", "epoch"),
    [
        (WHOLE.finish(10), 3),
        (WHOLE.load(epoch=4, consumed=10, num_samples=10), 5),
        (WHOLE.finish(10).set_epoch(2, 10), 2),
        (WHOLE.load(epoch=4, consumed=10, num_samples=10).set_epoch(4, 10), 4),
        (WHOLE.load(epoch=4, consumed=9, num_samples=10), 4),
        (WHOLE.skip_to(10), 2),
        (WHOLE, 2),
    ],
    ids=["read", "loaded", "read and named", "loaded and named", "loaded in mid-epoch", "skipped", "begun"],
)
def test_a_loop_that_names_no_epochs_moves_on_from_one_that_is_over(cursor, epoch):
    """From no other, and not if somebody has named the epoch that comes."""
    advanced = cursor.advance(10)
    assert epoch == advanced.epoch
    assert advanced == advanced.advance(10)
