"""What can be wrong with what a run trained on, saved and started from; each class is a code of `results.json`."""

from __future__ import annotations

from pathlib import PurePath
from typing import Literal

from resumable.launch.explain.statement import Statement
from resumable.launch.reading.restoring import Component
from resumable.launch.system.wording import counted

Unit = Literal["sample", "batch"]
_STATE: dict[Component, str] = {
    "parameters": "parameters",
    "optimizer": "optimizer state",
    "buffers": "buffers",
    "scaler": "gradient scaler state",
    "gradients": "accumulated gradients",
}


class Problem(Statement, frozen=True, kw_only=True):
    """What is not as it should be, or why the evidence does not show whether it is."""


class NothingCompared(Problem, frozen=True, kw_only=True):
    """No check has proved anything."""

    template = "nothing that was trained on has been compared"


class CheckFailed(Problem, frozen=True, kw_only=True):
    """A check raised an error: a bug of this program."""

    template = "the check itself failed: {error}"
    kind_by = ("error",)
    error: str


# Batches


class UnknownRank(Problem, frozen=True, kw_only=True):
    """A rank that the uninterrupted run does not have."""

    template = "rank {rank} is not in the reference"
    rank: int


class BatchAfterEnd(Problem, frozen=True, kw_only=True):
    """Training went on too long."""

    template = "rank {rank} trained on a batch after the reference had ended"
    rank: int


class BatchMissing(Problem, frozen=True, kw_only=True):
    """Training ended too soon."""

    template = "rank {rank} stopped before batch {batch} of epoch {epoch}"
    rank: int
    epoch: int
    batch: int


class BatchDiffers(Problem, frozen=True, kw_only=True):
    """A different batch came than would have come without the restart."""

    template = "rank {rank} trained on different {what} in batch {batch} of epoch {epoch}"
    rank: int
    epoch: int
    batch: int
    is_by_content: bool = False
    """Which samples they are is not known."""

    def __str__(self) -> str:
        return self.filled(what="content" if self.is_by_content else "samples")


class ReplayDiffers(Problem, frozen=True, kw_only=True):
    """A batch that was lost and done again was not the same."""

    template = "rank {rank} did batch {batch} of epoch {epoch} again with different {what}"
    rank: int
    epoch: int
    batch: int
    is_by_content: bool = False
    """Which samples they are is not known."""

    def __str__(self) -> str:
        return self.filled(what="content" if self.is_by_content else "samples")


class ContentDiffers(Problem, frozen=True, kw_only=True):
    """The samples are right, what was made of them is not."""

    template = "rank {rank} trained in batch {batch} of epoch {epoch} on the right samples with different content"
    rank: int
    epoch: int
    batch: int


class BatchesUnidentified(Problem, frozen=True, kw_only=True):
    """Nothing to compare by."""

    template = "some batches were recorded without indices and without a digest"


class SamplesMiscounted(Problem, frozen=True, kw_only=True):
    """Over all ranks an epoch trained on its samples more or less often than the uninterrupted run."""

    template = "{where}: {figures}"
    epoch: int | None = None
    """None: all epochs together."""
    unit: Unit
    num_lost: int = 0
    num_duplicated: int = 0
    """Times too many that samples of the epoch came."""
    num_unexpected: int = 0
    """Those that the uninterrupted run does not have in this epoch at all."""

    @property
    def kind(self) -> tuple[str, ...]:
        """What is lost has a different cause than what came twice."""
        nums = (self.num_lost, self.num_duplicated, self.num_unexpected)
        return (self.code, *("some" if num else "" for num in nums))

    def __str__(self) -> str:
        figures = {"lost": self.num_lost, "duplicated": self.num_duplicated, "unexpected": self.num_unexpected}
        parts = [f"{counted(num, self.unit)} {what}" for what, num in figures.items() if num]
        where = "all epochs together" if self.epoch is None else f"epoch {self.epoch}"
        return self.filled(where=where, figures=" and ".join(parts))


class GlobalBatchDiffers(Problem, frozen=True, kw_only=True):
    """All ranks together trained on different samples in one step."""

    template = "global batch {step} has different samples than in the uninterrupted run"
    step: int


class GlobalBatchesMiscounted(Problem, frozen=True, kw_only=True):
    """Training took more steps, or fewer."""

    template = "training took {num_found:global batch}, the uninterrupted run {num_expected}"
    num_found: int
    num_expected: int


class StreamRepeats(Problem, frozen=True, kw_only=True):
    """Samples of the ranks' common order come again."""

    template = "epoch {epoch} trains on {num:sample} again, from sample {position} of it on"
    epoch: int
    num: int
    position: int


class StreamOrderDiffers(Problem, frozen=True, kw_only=True):
    """The ranks' common order is not the uninterrupted run's."""

    template = "from sample {position} of epoch {epoch} on the ranks' common order is different"
    epoch: int
    position: int


class EpochLengthDiffers(Problem, frozen=True, kw_only=True):
    """An epoch is longer or shorter."""

    template = "epoch {epoch} has {num_found:sample}, in the uninterrupted run {num_expected}"
    epoch: int
    num_found: int
    num_expected: int


# State


class StateContradicts(Problem, frozen=True, kw_only=True):
    """Batches seem wrong where the state shows that none was."""

    template = (
        "{what}; yet losses and parameters are the uninterrupted run's to the last bit after each of {num_steps:step}: "
        "the batches were misread, or which of them came makes no difference"
    )
    what: str
    """What the batches seem to show."""
    num_steps: int


class StateDiffers(Problem, frozen=True, kw_only=True):
    """After a step something is not the uninterrupted run's, bit for bit."""

    template = "rank {rank} has {differing} than the reference from step {step} on"
    kind_by = ("what",)
    rank: int
    step: int
    what: Literal["loss", "buffers", "parameters"]

    def __str__(self) -> str:
        return self.filled(differing="a different loss" if self.what == "loss" else f"different {self.what}")


class FinalParametersDiffer(Problem, frozen=True, kw_only=True):
    """The end is different, though no step was seen to be."""

    template = "rank {rank} ends with different parameters than the reference"
    rank: int


class SavedStateDiffers(Problem, frozen=True, kw_only=True):
    """A checkpoint holds something else than the uninterrupted run's of the same step."""

    template = "rank {rank} saved different tensors{under}{in_file} after {num_steps:step} than the uninterrupted run"
    kind_by = ("keys",)
    rank: int
    num_steps: int
    keys: tuple[str, ...]
    path: str = ""

    def __str__(self) -> str:
        under = f" under {', '.join(map(repr, self.keys))}" if any(self.keys) else ""
        return self.filled(under=under, in_file=f" in {self.path}" if self.path else "")


class NotRestored(Problem, frozen=True, kw_only=True):
    """A process went on with something else than the run had at the save that it loaded."""

    template = "{who} went on from step {step} {what}{at_save}{which}"
    kind_by = ("component", "is_lost")
    rank: int | None
    """None: all ranks together, each of which has its part."""
    incarnation: int
    step: int
    component: Component
    is_lost: bool = False
    """It had nothing of it."""
    names: tuple[str, ...] = ()
    """Of what is different, as far as that is known."""
    num_names: int = 0
    """How many there are, those that are not named included."""
    save_step: int
    """Steps that the save holds."""
    path: str = ""

    def __str__(self) -> str:
        what = _STATE[self.component]
        who = "the ranks together" if self.rank is None else f"rank {self.rank}"
        target = PurePath(self.path).name or "its state"
        at_save = f" this run had when it saved {target} after {counted(self.save_step, 'step')}"
        num_more = self.num_names - len(self.names)
        which = f": {', '.join(self.names)}{f' and {num_more} more' if num_more else ''}" if self.names else ""
        verb = f"without the {what} that" if self.is_lost else f"with {what} different from what"
        return self.filled(who=f"{who} in incarnation {self.incarnation}", what=verb, at_save=at_save, which=which)


class ScheduleBegunAgain(Problem, frozen=True, kw_only=True):
    """On another number of ranks: the scheduler began from scratch."""

    template = (
        "rank {rank} in incarnation {incarnation} went on from step {step} "
        "with the learning rates that the job began with"
    )
    rank: int
    incarnation: int
    step: int


class SaveUnknown(Problem, frozen=True, kw_only=True):
    """Numbers do not repeat, so that nothing else shows whether the state was restored."""

    template = (
        "incarnation {incarnation} went on from step {step} with a state that no save of this run was seen to hold; "
        "its numbers do not repeat, so that nothing else shows whether that is right"
    )
    incarnation: int
    step: int


class RateDiffers(Problem, frozen=True, kw_only=True):
    """A step was done with a learning rate that it has in no other run, nor had in this one."""

    template = "rank {rank} in incarnation {incarnation} did step {step} with learning rate {found}, not {expected}"
    rank: int
    incarnation: int
    step: int
    found: float
    expected: float


class DiffersBeforeAnyFault(Problem, frozen=True, kw_only=True):
    """The job does not repeat itself."""

    template = "the run differs before its first restart: the job does not repeat itself"


class NothingResumed(Problem, frozen=True, kw_only=True):
    """There was no restart after which anything was trained."""

    template = "no rank trained after a restart{outlived}"
    survived: tuple[str, ...] = ()
    """Faults that the job survived."""

    def __str__(self) -> str:
        return self.filled(outlived=f": the job survived {', '.join(self.survived)}" if self.survived else "")
