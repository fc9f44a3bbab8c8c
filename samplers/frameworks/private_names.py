"""Every private name of torch, accelerate and Lightning that this package uses: where to look after an update.

A test looks all of them up in the versions that are installed. Where one is gone, the message names it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module


@dataclass(frozen=True, slots=True)
class PrivateName:
    """A name that its owner does not promise to keep."""

    module: str
    owner: str
    """Class that has it; empty for a name of the module itself."""
    name: str
    purpose: str
    is_set_by_init: bool = False
    """Whether instances alone have it; its class's constructor then mentions it."""

    @property
    def is_missing(self) -> bool:
        """Whether the installed version does not have it.

        Raises:
            ImportError: the module is not installed, or gone.
        """
        target: object = import_module(self.module)
        for part in self.owner.split("."):
            target = getattr(target, part, None) if part else target
        if self.is_set_by_init:
            constructor = getattr(target, "__init__", None)
            return self.name not in getattr(getattr(constructor, "__code__", None), "co_names", ())
        return not hasattr(target, self.name)


NUM_WORKERS = "_num_workers"
IS_PREPARED = "_is_accelerate_prepared"
ADD_LOADER, REMOVE_LOADER = "_add_dataloader", "_remove_dataloader"
ACCELERATE_LOADERS = "accelerate.data_loader"
ACCELERATOR = ("accelerate.accelerator", "Accelerator")
LIGHTNING_SAMPLER_WRAPPER = "_DatasetSamplerWrapper"
FABRIC_LOADER = "_FabricDataLoader"

PRIVATE_NAMES = (
    PrivateName("torch.utils.data.dataloader", "_BaseDataLoaderIter", NUM_WORKERS, "does it fetch ahead?", True),
    PrivateName("torch.utils.data.dataloader", "", "_BaseDataLoaderIter", "what torch's loaders iterate with"),
    PrivateName("accelerate.accelerator", "Accelerator", "prepare_data_loader", "asks whether a loader is prepared"),
    PrivateName("accelerate.state", "GradientState", ADD_LOADER, "a pass begins"),
    PrivateName("accelerate.state", "GradientState", REMOVE_LOADER, "a pass ends"),
    PrivateName("lightning.fabric.utilities.distributed", "", LIGHTNING_SAMPLER_WRAPPER, "shuffles a sampler again"),
    PrivateName("lightning.fabric.wrappers", "", FABRIC_LOADER, "counts epochs by itself"),
)


def missing_names() -> Iterator[str]:
    """Yield each of these names that the installed versions lack, with what it is needed for."""
    for entry in PRIVATE_NAMES:
        if entry.is_missing:
            yield ".".join(filter(None, (entry.module, entry.owner, entry.name))) + f" ({entry.purpose})"
