"""Samplers for one process: random and sequential."""

from collections.abc import Sized

from resumable.samplers.arguments import flag, length
from resumable.samplers.groups import Groups
from resumable.samplers.orders import OrderLike, SequentialOrder
from resumable.samplers.registry import SAMPLER_REGISTRY
from resumable.samplers.sampler import ResumableSampler
from resumable.samplers.seeded import is_seeded


@SAMPLER_REGISTRY.register
class ResumableRandomSampler(ResumableSampler):
    """Shuffles again in each epoch; resumable stand-in for `torch.utils.data.RandomSampler` without replacement.

    By default epoch `e` is `torch.randperm` from a generator seeded with `seed + e`. Where `RandomSampler` draws from a
    generator that moves on by itself, this one has an order for each epoch number: call `set_epoch`.

    Args:
        data_source: Anything with a length.
        seed: Seed of the shuffles.
        batch_size: Samples in a batch of the loader; the unit of `start_iter` and `commit`.
        order: Name of the order, or an order, see `resumable.samplers.orders`.
        groups: How samples are grouped, if they are, see `resumable.samplers.groups`.
        replacement: Must stay False: torch's name for what `ResumableWeightedSampler` does.
        num_samples: As long as the data set, if given.
        generator: Must stay None: the position in a generator that moves on could not be found again.
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
        replacement: bool = False,
        num_samples: int | None = None,
        generator: None = None,
        dataset_fingerprint: str | None = None,
    ) -> None:
        _check_torchs(data_source, replacement=replacement, num_samples=num_samples, generator=generator)
        super().__init__(
            order,
            num_samples=length("data_source", data_source),
            seed=seed,
            batch_size=batch_size,
            groups=groups,
            dataset_fingerprint=dataset_fingerprint,
        )
        self.data_source = data_source
        if is_seeded(data_source):
            self.mark_epochs()


def _check_torchs(data_source: Sized, *, replacement: bool, num_samples: int | None, generator: object) -> None:
    """Refuse what torch's `RandomSampler` would do and this one does not, and say what does."""
    if flag("replacement", replacement):
        raise ValueError(
            "replacement=True: ResumableWeightedSampler(torch.ones(len(data_source)), num_samples) draws with replacement"
        )
    if num_samples is not None and num_samples != length("data_source", data_source):
        raise ValueError(
            f"num_samples={num_samples}: an epoch holds each of the {len(data_source)} samples once. For a part of them "
            "use ResumableSubsetSampler; for more, order=Endless() and as many steps as you like"
        )
    if generator is not None:
        raise ValueError(
            "generator: a generator that moves on cannot be found again after a restart; give a seed, as "
            "seed=generator.initial_seed()"
        )


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
        if is_seeded(data_source):
            self.mark_epochs()
