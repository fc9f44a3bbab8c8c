"""Where the next pass begins, as a value; the sampler's tests show the rest of it at work."""

import pytest

from resumable.samplers import StateMismatchError
from resumable.samplers.cursor import Cursor, Origin

WHOLE = Cursor(epoch=2)
CURSORS = {
    "bound": Cursor(epoch=2, consumed=4),
    "pending": Cursor(epoch=2, consumed=4, origin=Origin.PENDING),
    "loaded": Cursor(epoch=2, consumed=4, origin=Origin.LOADED),
    "loaded at the end": Cursor(epoch=2, consumed=10, origin=Origin.LOADED),
    "finished": Cursor(epoch=2, consumed=10, origin=Origin.FINISHED),
}
EVENTS = {
    "same": lambda cursor: cursor.set_epoch(2, 10),
    "next": lambda cursor: cursor.set_epoch(3, 10),
    "others": lambda cursor: cursor.set_epoch(7, 10),
    "skip_to": lambda cursor: cursor.skip_to(6),
    "load": lambda cursor: cursor.load(epoch=5, consumed=1, num_samples=10),
    "begin": lambda cursor: cursor.begin(10),
    "finish": lambda cursor: cursor.finish(10),
    "advance": lambda cursor: cursor.advance(10),
}
TABLE = {
    "bound": ["bound 2 4", "bound 3 0", "bound 7 0", "pending 2 6", "loaded 5 1", "bound 2 4", "finished 2 10", "bound 2 4"],
    "pending": [
        "bound 2 4", "bound 3 4", "bound 7 4", "pending 2 6", "loaded 5 1", "bound 2 4", "finished 2 10", "pending 2 4"
    ],
    "loaded": ["bound 2 4", "refused", "refused", "pending 2 6", "loaded 5 1", "bound 2 4", "finished 2 10", "loaded 2 4"],
    "loaded at the end": [
        "bound 2 10", "bound 3 0", "refused", "pending 2 6", "loaded 5 1", "bound 2 0", "finished 2 10", "bound 3 0"
    ],
    "finished": [
        "finished 2 10", "bound 3 0", "bound 7 0", "pending 2 6", "loaded 5 1", "bound 2 0", "finished 2 10", "bound 3 0"
    ],
}  # fmt: skip
"""Origin, epoch and position after each event, as the module's table has them."""


def outcome(cursor, event):
    try:
        moved = EVENTS[event](cursor)
    except StateMismatchError:
        return "refused"
    return f"{moved.origin} {moved.epoch} {moved.consumed}"


@pytest.mark.parametrize("origin", TABLE)
def test_a_cursor_moves_as_the_table_says(origin):
    """Each event, for each way in which a cursor can have come to its place."""
    assert TABLE[origin] == [outcome(CURSORS[origin], event) for event in EVENTS]


def test_a_load_agrees_with_the_epoch_that_was_named_before_it():
    """A named epoch is the loop's word: the state's own, or the one behind a finished one; nothing else."""
    named = WHOLE.set_epoch(4, 10)
    assert [outcome(named, event) for event in ("same", "load")] == ["bound 2 0", "refused"]
    assert named.load(epoch=4, consumed=3, num_samples=10) == Cursor(epoch=4, consumed=3, epoch_named=True)
    assert named.load(epoch=3, consumed=10, num_samples=10) == Cursor(epoch=4, consumed=0, epoch_named=True)


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
