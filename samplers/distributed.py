"""The sampler for several ranks."""

from typing import Any

from torch.distributed.device_mesh import DeviceMesh
from torch.utils.data import Dataset, DistributedSampler

from resumable.samplers.arguments import DropLast, integer, length
from resumable.samplers.groups import Groups
from resumable.samplers.mesh import share_of
from resumable.samplers.orders import Order, OrderLike, SequentialOrder
from resumable.samplers.registry import SAMPLER_REGISTRY
from resumable.samplers.sampler import ResumableSampler
from resumable.samplers.seeded import is_seeded
from resumable.samplers.state import LIMIT


@SAMPLER_REGISTRY.register
class ResumableDistributedSampler(ResumableSampler, DistributedSampler[int]):
    """One rank's part of each epoch; resumable stand-in for `torch.utils.data.DistributedSampler`, which it is.

    From the start of an epoch it yields what torch's yields, for every number of samples and ranks. From a later
    position it deals out the rest in the same way, padded from the epoch's first samples.

    Args:
        dataset: A map-style data set; only its length is used.
        num_replicas: Number of ranks; that of the default process group if None.
        rank: This rank; that in the default process group if None.
        shuffle: Whether the order changes from epoch to epoch.
        seed: Seed of the shuffles, the same on all ranks.
        drop_last: False pads so that all ranks read equally much, True drops samples instead (fewer than there are
            ranks), `"global"` drops a global batch that is not full, so that what is dropped depends on
            `num_replicas * batch_size` only; a state then asks for the same product.
        batch_size: Samples in a batch of this rank's loader; the unit of `start_iter` and `commit`.
        order: Order when `shuffle` is on: its name, or an order, see `resumable.samplers.orders`.
        groups: How samples are grouped, if they are, see `resumable.samplers.groups`; ranks then take turns by group.
        mesh: In place of `num_replicas` and `rank`, the data-parallel dimensions of a device mesh, as `mesh["dp"]` or
            `mesh["dp_replicate", "dp_shard"]`. Ranks that share their coordinates there (tensor, context or pipeline
            parallel ones) read the same samples.
        dataset_fingerprint: The caller's own mark of the data's content; a state with a different one is refused.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: an argument is out of range, or no such order exists.
        RuntimeError: ranks were not given and this torch has no distributed package. (Without a process group torch's
            own error comes through.)
    """

    def __init__(  # noqa: PLR0917 - torch's order of arguments
        self,
        dataset: Dataset[Any],
        num_replicas: int | None = None,
        rank: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: DropLast = False,
        batch_size: int = 1,
        *,
        order: OrderLike = "randperm",
        groups: Groups | None = None,
        mesh: DeviceMesh | None = None,
        dataset_fingerprint: str | None = None,
    ) -> None:
        if mesh is not None:
            if (num_replicas, rank) != (None, None):
                raise ValueError(f"num_replicas={num_replicas}, rank={rank}: they follow from the mesh; give it alone")
            num_replicas, rank = share_of(mesh)
        num_samples = length("dataset", dataset)
        if num_replicas is not None:
            num_replicas = integer("num_replicas", num_replicas, low=1, high=LIMIT)
        if rank is not None:
            rank = integer("rank", rank, low=0, high=LIMIT)
        # Torch finds the ranks, and its own errors come through. Its constructor would name an epoch, so a sampler of
        # its own runs it.
        torchs: DistributedSampler[int] = DistributedSampler(
            dataset, num_replicas, rank, shuffle, seed, bool(drop_last)
        )
        ResumableSampler.__init__(
            self,
            unless_sequential(order, shuffle),
            num_samples=num_samples,
            seed=seed,
            shuffle=shuffle,
            drop_last=drop_last,
            num_replicas=torchs.num_replicas,
            rank=torchs.rank,
            batch_size=batch_size,
            groups=groups,
            dataset_fingerprint=dataset_fingerprint,
        )
        found = vars(torchs).items()
        vars(self).update({name: value for name, value in found if name not in {"epoch", "num_samples", "total_size"}})
        if is_seeded(dataset):
            self.mark_epochs()

    @property
    def num_samples(self) -> int:  # type: ignore[override]
        """`len()`: as torch has it, but for `drop_last="global"` and groups."""
        return len(self)

    @property
    def total_size(self) -> int:  # type: ignore[override]
        """What all ranks read in a whole epoch, padding included."""
        return len(self) * self.num_replicas


def unless_sequential(order: OrderLike, shuffle: bool) -> OrderLike:
    """Return the order that is meant.

    Raises:
        ValueError: an order was given, and then not to be used.
    """
    if shuffle is False and isinstance(order, Order):
        raise ValueError(f"shuffle=False with order={order.name}: an order of its own decides how samples are arranged")
    return SequentialOrder() if shuffle is False else order
