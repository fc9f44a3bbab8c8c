"""What can be wrong with the batches that a run trained on; each class is a code of `results.json`."""

from __future__ import annotations

from typing import Literal

from resumable.launch.explain.codes.statement import Problem
from resumable.launch.system.wording import counted

Unit = Literal["sample", "batch"]


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


class WindowDiffers(Problem, frozen=True, kw_only=True):
    """A step is made of more batches than it should be, or of fewer."""

    template = "rank {rank} made step {step} of {num_found:batch} instead of {num_expected}"
    rank: int
    step: int
    num_found: int
    num_expected: int


class BatchDiffers(Problem, frozen=True, kw_only=True):
    """A different batch came than would have come without the restart."""

    template = "rank {rank} trained on different {is_by_content:content|samples} in batch {batch} of epoch {epoch}"
    rank: int
    epoch: int
    batch: int
    is_by_content: bool = False
    """Which samples they are is not known."""


class ReplayDiffers(Problem, frozen=True, kw_only=True):
    """A batch that was lost and done again was not the same."""

    template = "rank {rank} did batch {batch} of epoch {epoch} again with different {is_by_content:content|samples}"
    rank: int
    epoch: int
    batch: int
    is_by_content: bool = False
    """Which samples they are is not known."""


class ContentDiffers(Problem, frozen=True, kw_only=True):
    """The samples are right, what was made of them is not."""

    template = "rank {rank} trained in batch {batch} of epoch {epoch} on the right samples with different content"
    rank: int
    epoch: int
    batch: int


class BatchesUnidentified(Problem, frozen=True, kw_only=True):
    """Nothing to compare by."""

    template = "some batches were recorded without indices and without a digest"


class BatchesCutDifferently(Problem, frozen=True, kw_only=True):
    """Batches without indices, on a different number of ranks."""

    template = (
        "batches are known by their content alone, and a different number of ranks may cut the same samples into different "
        "batches: give them to the model through a DataLoader, whose indices can be compared"
    )


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

    template = "epoch {epoch} trains on {num:sample} again, after the first {position} of it"
    epoch: int
    num: int
    position: int


class StreamOrderDiffers(Problem, frozen=True, kw_only=True):
    """The ranks' common order is a different one."""

    template = "from sample {position} of epoch {epoch} on the ranks' common order is different"
    epoch: int
    position: int


class EpochLengthDiffers(Problem, frozen=True, kw_only=True):
    """An epoch is longer or shorter."""

    template = "epoch {epoch} has {num_found:sample}, in the uninterrupted run {num_expected}"
    epoch: int
    num_found: int
    num_expected: int


class EpochLengthNotDescribed(Problem, frozen=True, kw_only=True):
    """An epoch came to its end with fewer samples than its sampler described, or with more."""

    template = "epoch {epoch} has {num_found:sample}, of {num_described} that its sampler described"
    epoch: int
    num_found: int
    num_described: int


class EpochOutOfTurn(Problem, frozen=True, kw_only=True):
    """The sampler stands in a different epoch than the job."""

    template = "epoch {epoch} trains on the order of the sampler's epoch {sampler_epoch}"
    epoch: int
    sampler_epoch: int
