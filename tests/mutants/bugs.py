"""The planted bugs as data: what exposes each, and what the explanation has to speak of."""

from __future__ import annotations

from dataclasses import dataclass

# With 2 ranks an epoch has 8 batches and a checkpoint comes every 2 steps: this one resumes in epoch 1, after batch 1
# or 3 of it, and two whole epochs follow.
IN_EPOCH_ONE = ("sigkill@step=11:rank=1",)
OTHER_ENDS = ("exit(3)", "abort", "exception", "sigint", "hang", "sigstop")
"""However the rank ends, a bug in the resume is the same bug."""


@dataclass(frozen=True, kw_only=True)
class PlantedBug:
    """One bug of `job.py`."""

    name: str
    explanation: str
    """Regular expression for the sentence that explains it, case ignored."""
    faults: tuple[str, ...] = IN_EPOCH_ONE
    arguments: tuple[str, ...] = ()
    """Further arguments of the job."""
    is_further: bool = False
    """Whether it is one more form of another one."""

    def __str__(self) -> str:
        return f"{self.name}, {' and '.join(self.faults)}"


BUGS = (
    PlantedBug(name="sticky-start", explanation=r"start|skip|truncat|short"),
    # At an epoch's border every later epoch is empty, and the job goes through them for ever.
    PlantedBug(name="sticky-start", explanation=r"made no progress", faults=("sigkill@step=8:rank=1",)),
    PlantedBug(
        name="second-resume",
        explanation=r"repeat|again|replay|behind|earlier|second",
        faults=("sigkill@step=11:rank=1", "sigkill@resume+4:rank=0"),
    ),
    PlantedBug(name="epoch-late", explanation=r"epoch"),
    PlantedBug(name="epoch-early", explanation=r"epoch"),
    PlantedBug(name="epoch-zero-order", explanation=r"epoch 0"),
    PlantedBug(name="epoch-restarted", explanation=r"first batch|beginning|restart|start"),
    PlantedBug(
        name="empty-after-border",
        explanation=r"empty|epoch|skip",
        faults=("sigkill@step=16:rank=1",),
    ),
    PlantedBug(name="read-ahead", explanation=r"read ahead|skip|lost", arguments=("--workers", "2")),
    PlantedBug(name="skip-in-samples", explanation=r"samples|batch"),
    PlantedBug(name="seed-ignored", explanation=r"order|seed"),
    PlantedBug(name="same-order", explanation=r"order|epoch"),
    PlantedBug(name="padded-from-remainder", explanation=r"pad"),
    PlantedBug(name="rank-zero-for-all", explanation=r"rank 0"),
    PlantedBug(name="no-permutation", explanation=r"twice|duplicat|permutation|lost"),
    PlantedBug(name="drop-last-forgotten", explanation=r"drop_last|pad|tail", arguments=("--drop-last",)),
    PlantedBug(name="batch-replayed", explanation=r"repeat|replay|again|twice"),
    PlantedBug(name="batch-skipped", explanation=r"skip|lost"),
    PlantedBug(name="only-rank-zero-resumes", explanation=r"rank"),
    PlantedBug(name="optimizer-forgotten", explanation=r"without the optimizer state"),
    PlantedBug(name="scheduler-forgotten", explanation=r"scheduler has counted \d where it should have counted 1\d"),
    PlantedBug(name="statistics-forgotten", explanation=r"running statistics", faults=("sigkill@step=11:rank=0",)),
    PlantedBug(name="average-forgotten", explanation=r"under 'average'.*EMA", faults=("sigkill@batch=12:rank=0",)),
    PlantedBug(name="checkpoint-ignored", explanation=r"checkpoint|anew|beginning|lost work"),
    PlantedBug(
        name="stop-is-success",
        explanation=r"of 40 steps",
        faults=("sigterm(grace=20)@step=11:rank=1",),
    ),
    PlantedBug(
        name="notice-ignored",
        explanation=r"no emergency checkpoint",
        faults=("preempt(grace=20)@step=12:node=0",),
    ),
    PlantedBug(
        name="dead-worker-ignored",
        explanation=r"lost|never",
        faults=("loaderkill@epoch=1,batch=3:rank=1",),
        arguments=("--workers", "1"),
    ),
    PlantedBug(name="newest-blindly", explanation=r"was damaged \(torn\)", faults=("torn(keep=0.5)@save#5:rank=0",)),
    PlantedBug(name="newest-blindly", explanation=r"was damaged \(corrupt\)", faults=("corrupt@save#5:rank=0",)),
    PlantedBug(name="overwriting", explanation=r"beside its place", faults=("sigkill@save#5+during:rank=0",)),
    PlantedBug(
        name="overwriting-beginning-anew", explanation=r"beside its place", faults=("sigkill@save#5+during:rank=0",)
    ),
    PlantedBug(
        name="overwriting-in-silence",
        explanation=r"half written",
        faults=("diskfull@save#5:rank=0", "sigkill@step=12:rank=1"),
    ),
    PlantedBug(
        name="overwriting-in-silence",
        explanation=r"half written",
        faults=("ioerror@save#5:rank=0", "sigkill@step=12:rank=1"),
    ),
    *(
        PlantedBug(
            name="batch-skipped",
            explanation=r"skip|lost",
            faults=(f"{end}@step=11:rank=1",),
            is_further=end not in ("exception", "hang"),
        )
        for end in OTHER_ENDS
    ),
)

ONE_LOST = ("nodeloss(replace=0)@step=11:node=1",)
FEWER = ("nodeloss@step=9:node=1",)
"""In the middle of an epoch of six steps on three ranks; the other two go on, and two whole epochs follow."""
FOUR_EPOCHS = ("--epochs", "4")

NODE_BUGS = (
    PlantedBug(
        name="saved-by-every-node",
        explanation=r"went on from step (1\d, rank \d went on from step 0|0, rank \d went on from step 1\d)",
        faults=ONE_LOST,
    ),
    PlantedBug(
        name="listed-by-every-node",
        explanation=r"went on from step 1\d, rank \d went on",
        faults=ONE_LOST,
        is_further=True,
    ),
    PlantedBug(name="progress-in-batches", explanation=r"counted in batches", faults=FEWER, arguments=FOUR_EPOCHS),
    PlantedBug(
        name="optimizer-forgotten",
        explanation=r"without the optimizer state",
        faults=FEWER,
        arguments=FOUR_EPOCHS,
        is_further=True,
    ),
    PlantedBug(
        name="scheduler-forgotten",
        explanation=r"learning-rate scheduler's",
        faults=FEWER,
        arguments=FOUR_EPOCHS,
        is_further=True,
    ),
    PlantedBug(name="world-size-kept", explanation=r"still deal .* to 3 ranks", faults=FEWER, arguments=FOUR_EPOCHS),
    PlantedBug(
        name="overwriting",
        explanation=r"half written",
        faults=("nodeloss(replace=0)@save#5+during:rank=0",),
    ),
)
"""What only several nodes show, on three of one rank each; fewer than three may go on where one is not replaced."""
