"""Every private name of Python, torch and the frameworks that this package uses: where to look after an update.

A test looks all of them up in the versions that are installed. Where one is gone, the message names it. No other module uses
one, but for the property by which accelerate asks a loader whether it is prepared.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

NUM_WORKERS = "_num_workers"


@dataclass(frozen=True, slots=True)
class PrivateName:
    """A name that its owner does not promise to keep."""

    module: str
    qualified: str
    """Dotted name within the module."""
    purpose: str
    attribute: str = ""
    """Something that the constructor of the named class sets on each instance."""

    @property
    def is_missing(self) -> bool:
        """Whether the installed version does not have it.

        Raises:
            ImportError: the module is not installed, or gone.
        """
        target: object = import_module(self.module)
        for part in self.qualified.split("."):
            target = getattr(target, part, None)
        code = getattr(getattr(target, "__init__", None), "__code__", None)
        return target is None or (bool(self.attribute) and self.attribute not in getattr(code, "co_names", ()))

    def __str__(self) -> str:
        return f"{self.module}.{self.qualified} {self.attribute}".rstrip() + f" ({self.purpose})"


BATCH_SAMPLER_PASS = PrivateName("torch.utils.data.sampler", "BatchSampler.__iter__", "the frame that draws batches")
LOADER_DRAWS = PrivateName("torch.utils.data.dataloader", "_BaseDataLoaderIter._next_index", "the frame that draws")
TORCHDATA_BATCHES = PrivateName(
    "torchdata.stateful_dataloader.sampler", "_BatchSamplerIterator.__next__", "the frame that draws batches"
)
TORCHDATA_RESTORES = PrivateName(
    "torchdata.nodes.adapters", "SamplerWrapper.reset", "the frame that restores a sampler"
)
ACCELERATE_LOADERS = PrivateName("accelerate.data_loader", "DataLoaderShard", "deals batches out once more")
ACCELERATE_ASKS = PrivateName(
    "accelerate.accelerator", "Accelerator.prepare_data_loader", "the frame that asks whether a loader is prepared"
)
SKIPPED_BATCHES = PrivateName(
    "resumable.samplers.frameworks.skipping", "SkippedBatches.__next__", "the frame behind which a framework skips"
)
GRADIENTS_ADD = PrivateName("accelerate.state", "GradientState._add_dataloader", "a pass begins")
GRADIENTS_REMOVE = PrivateName("accelerate.state", "GradientState._remove_dataloader", "a pass ends")
LIGHTNING_WRAPPER = PrivateName("lightning.fabric.utilities.distributed", "_DatasetSamplerWrapper", "shuffles again")
FABRIC_LOADER = PrivateName("lightning.fabric.wrappers", "_FabricDataLoader", "counts epochs by itself")

FRAMES = PrivateName("sys", "_getframe", "who draws, or asks for a state")

PRIVATE_NAMES = (
    FRAMES,
    BATCH_SAMPLER_PASS,
    LOADER_DRAWS,
    PrivateName(LOADER_DRAWS.module, "_BaseDataLoaderIter", "does it fetch ahead?", NUM_WORKERS),
    TORCHDATA_BATCHES,
    TORCHDATA_RESTORES,
    ACCELERATE_LOADERS,
    ACCELERATE_ASKS,
    SKIPPED_BATCHES,
    GRADIENTS_ADD,
    GRADIENTS_REMOVE,
    LIGHTNING_WRAPPER,
    FABRIC_LOADER,
)


frame_at = sys._getframe
"""The frame of a call, so many calls above the present one."""


class GradientState(Protocol):
    """accelerate's record of the loaders that are being read: accumulated gradients are applied with a last batch."""

    def _add_dataloader(self, dataloader: object) -> None: ...

    def _remove_dataloader(self, dataloader: object) -> None: ...


def begin_pass(gradients: GradientState, loader: object) -> None:
    """Tell accelerate that a loader is being read."""
    gradients._add_dataloader(loader)


def end_pass(gradients: GradientState, loader: object) -> None:
    """Tell accelerate that a loader is read no more."""
    gradients._remove_dataloader(loader)


def missing_names() -> Iterator[str]:
    """Yield each of these names that the installed versions lack, with what it is needed for."""
    yield from (str(name) for name in PRIVATE_NAMES if name.is_missing)
