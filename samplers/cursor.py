"""Where the next pass over a sampler begins: a pure value, moved by `set_epoch`, `start_iter`, loads and passes."""

from dataclasses import dataclass, replace
from enum import StrEnum

from resumable.samplers.errors import StateMismatchError
from resumable.samplers.finished import NOTHING, Finished


class Origin(StrEnum):
    """How a cursor came to stand where it stands, which decides what the next `set_epoch` may do with it."""

    BOUND = "bound"
    """It belongs to its epoch."""
    PENDING = "pending"
    """`start_iter` was assigned; it takes the epoch that comes."""
    LOADED = "loaded"
    """It came from a state; the epoch that comes must agree."""
    FINISHED = "finished"
    """Its pass was read to the end in this process."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cursor:
    """Epoch and position at which the next pass begins.

    The epoch moves by `set_epoch` and `advance` alone. A pass that comes after the end of one is whole again, in the same
    order unless the epoch was moved: a skip can never stick to the epochs that follow it. What becomes of a cursor in
    epoch `e` at position `G` of `N` samples, by its origin (rows are events, "same" and "next" are `e` and `e + 1`):

    ==================  ===============  ===============  =====================  ==============
    event               BOUND            PENDING          LOADED                 FINISHED (G=N)
    ==================  ===============  ===============  =====================  ==============
    set_epoch(same)     unchanged        BOUND at G       BOUND at G             unchanged
    set_epoch(next)     BOUND at 0       BOUND at G       BOUND at 0 if G=N,     BOUND at 0
                                                          else refused
    set_epoch(others)   BOUND at 0       BOUND at G       refused                BOUND at 0
    skip_to(K)          PENDING at K     PENDING at K     PENDING at K           PENDING at K
    load                LOADED; if the epoch was named since the last draw: BOUND in that epoch, or refused
    begin               unchanged        BOUND at G       BOUND at G, 0 if G=N   BOUND at 0
    finish              FINISHED         FINISHED         FINISHED               FINISHED
    advance             unchanged        unchanged        `e + 1` if G=N         BOUND in `e + 1`
    ==================  ===============  ===============  =====================  ==============

    `set_epoch` names the epoch, `draw` takes that back, and `advance` moves no cursor whose epoch was named.
    """

    epoch: int = 0
    consumed: int = 0
    """Position in the epoch's stream, in global samples."""
    finished: Finished = NOTHING
    """What is finished behind that position."""
    origin: Origin = Origin.BOUND
    epoch_named: bool = False
    """`set_epoch` was called and nothing has been drawn since: a state that is loaded now must agree with it."""

    def set_epoch(self, epoch: int, num_samples: int) -> "Cursor":
        """Move to an epoch.

        The same epoch keeps the position, a different one clears it, and a pending position is bound. After a load only
        the state's own epoch will do, or, if the state stands at the end of its epoch, the next one.

        Raises:
            StateMismatchError: the loaded state belongs to a different epoch.
        """
        if self.origin is Origin.LOADED:
            return _agreed(saved=self, epoch=epoch, num_samples=num_samples)
        if self.origin is Origin.PENDING:
            return Cursor(epoch=epoch, consumed=self.consumed, epoch_named=True)
        if epoch == self.epoch:
            return replace(self, epoch_named=True)
        return Cursor(epoch=epoch, epoch_named=True)

    def skip_to(self, consumed: int) -> "Cursor":
        """Take a position for the epoch that comes next."""
        return replace(self, consumed=consumed, finished=NOTHING, origin=Origin.PENDING)

    def load(self, *, epoch: int, consumed: int, finished: Finished = NOTHING, num_samples: int) -> "Cursor":
        """Take a state's position, whether `set_epoch` came before or will come after.

        Raises:
            StateMismatchError: `set_epoch` has named a different epoch for the pass that comes.
        """
        saved = Cursor(epoch=epoch, consumed=consumed, finished=finished, origin=Origin.LOADED)
        return _agreed(saved=saved, epoch=self.epoch, num_samples=num_samples) if self.epoch_named else saved

    def begin(self, num_samples: int) -> "Cursor":
        """Bind the position to the pass that begins now.

        A state at the end of its epoch with no epoch named since is followed by a whole pass. (A loop that
        names the *same* epoch again after the load has re-entered the epoch that it had left, and gets its empty rest.)
        """
        at_end = self.origin is Origin.LOADED and self.consumed == num_samples
        if at_end or self.origin is Origin.FINISHED:
            return replace(self, consumed=0, finished=NOTHING, origin=Origin.BOUND)
        return replace(self, origin=Origin.BOUND)

    def advance(self, num_samples: int) -> "Cursor":
        """Move to the next epoch if this one is over, and `set_epoch` has named none since."""
        over = self.origin is Origin.FINISHED or (self.origin is Origin.LOADED and self.consumed == num_samples)
        return Cursor(epoch=self.epoch + 1) if over and not self.epoch_named else self

    def draw(self) -> "Cursor":
        """Note that samples of the pass were drawn: a state loaded from now on is a new start."""
        return replace(self, epoch_named=False)

    def finish(self, num_samples: int) -> "Cursor":
        """Note that the pass was read to its end."""
        return replace(self, consumed=num_samples, finished=NOTHING, origin=Origin.FINISHED)


def _agreed(*, saved: Cursor, epoch: int, num_samples: int) -> Cursor:
    """The position in `epoch`, which was named, that a state's position amounts to."""
    if epoch == saved.epoch:
        return replace(saved, origin=Origin.BOUND, epoch_named=True)
    if epoch == saved.epoch + 1 and saved.consumed == num_samples:
        return Cursor(epoch=epoch, epoch_named=True)
    raise StateMismatchError(
        f"the loaded state stands in epoch {saved.epoch} at sample {saved.consumed} of {num_samples}, "
        f"but set_epoch({epoch}) was called: begin the loop at the state's epoch"
    )
