"""The moments at which every stack is hit: where resuming goes wrong if it does."""

from __future__ import annotations

import msgspec

_MID_0, _MID_1, _BORDER = ("sigkill@step=7:rank=1",), ("sigkill@step=22:rank=1",), ("sigkill@step=15:rank=1",)
"""The newest checkpoint is after step 6, 21 or 15; an epoch has 15 steps."""
_TWICE = (*_MID_1, "sigkill@resume+4:rank=0")
"""The second one after step 24 or 25, with a checkpoint that was written since the first."""


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One column of the scoreboard: what is done, and to which form of the job."""

    name: str
    faults: tuple[str, ...]
    workers: int = 0
    """Loader workers of each rank."""
    is_augmented: bool = False
    ranks_after: int | None = None
    """Ranks after the restart; None: as before."""

    @property
    def described(self) -> str:
        """For people."""
        augmented = ", noise is added to each sample" if self.is_augmented else ""
        ranks = f", and it goes on with {self.ranks_after} ranks" if self.ranks_after else ""
        return f"{' and '.join(self.faults)}{ranks}; {self.workers or 'no'} loader workers{augmented}"

    @property
    def arguments(self) -> tuple[str, ...]:
        """What the script of a stack is given."""
        return (
            *(("--workers", str(self.workers)) if self.workers else ()),
            *(("--augment",) if self.is_augmented else ()),
        )


NUM_RANKS = 2
CELLS = (
    Cell(name="epoch 0", faults=_MID_0),
    Cell(name="epoch 1", faults=_MID_1),
    Cell(name="border", faults=_BORDER),
    Cell(name="twice", faults=_TWICE),
    Cell(name="2 to 3 ranks", faults=_MID_1, ranks_after=3),
    Cell(name="epoch 1, workers", faults=_MID_1, workers=2),
    Cell(name="twice, workers", faults=_TWICE, workers=2),
    Cell(name="augmented", faults=_MID_1, is_augmented=True),
    Cell(name="augmented, workers", faults=_MID_1, workers=2, is_augmented=True),
)
