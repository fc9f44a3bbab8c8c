"""Samplers for one process: random and sequential."""

from collections.abc import Sized

from resumable.samplers.arguments import length
from resumable.samplers.groups import Groups
from resumable.samplers.orders import OrderLike, SequentialOrder
from resumable.samplers.registry import SAMPLER_REGISTRY
from resumable.samplers.sampler import ResumableSampler
from resumable.samplers.seeded import SeededDataset


@SAMPLER_REGISTRY.register
class ResumableRandomSampler(ResumableSampler):
    """Shuffles anew in each epoch; resumable stand-in for `torch.utils.data.RandomSampler` without replacement.

    By default epoch `e` is `torch.randperm` from a generator seeded with `seed + e`. Where `RandomSampler` draws from a
    generator that moves on by itself, this one has an order for each epoch number: call `set_epoch`.

    Args:
        data_source: Anything with a length.
        seed: Seed of the shuffles.
        batch_size: Samples in a batch of the loader; the unit of `start_iter` and `commit`.
        order: Name of the order, or an order, see `resumable.samplers.orders`.
        groups: How samples are grouped, if they are, see `resumable.samplers.groups`.
        dataset_fingerprint: The caller's own mark of the data's content; a state with a different one is refused.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: an argument is out of range, or no such order exists.
    """

    def __init__(
        self,
        data_source: Sized,
        seed: int = 0,
        batch_size: int = 1,
        *,
        order: OrderLike = "randperm",
        groups: Groups | None = None,
        dataset_fingerprint: str | None = None,
    ) -> None:
        super().__init__(
            order,
            num_samples=length("data_source", data_source),
            seed=seed,
            batch_size=batch_size,
            groups=groups,
            dataset_fingerprint=dataset_fingerprint,
        )
        self.data_source = data_source
        if isinstance(data_source, SeededDataset):
            self.mark_epochs()


@SAMPLER_REGISTRY.register
class ResumableSequentialSampler(ResumableSampler):
    """Yields the samples as they lie; resumable stand-in for `torch.utils.data.SequentialSampler`.

    Args:
        data_source: Anything with a length.
        batch_size: Samples in a batch of the loader; the unit of `start_iter` and `commit`.
        dataset_fingerprint: The caller's own mark of the data's content; a state with a different one is refused.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: an argument is out of range.
    """

    def __init__(self, data_source: Sized, batch_size: int = 1, *, dataset_fingerprint: str | None = None) -> None:
        super().__init__(
            SequentialOrder(),
            num_samples=length("data_source", data_source),
            shuffle=False,
            batch_size=batch_size,
            dataset_fingerprint=dataset_fingerprint,
        )
        self.data_source = data_source
        if isinstance(data_source, SeededDataset):
            self.mark_epochs()
