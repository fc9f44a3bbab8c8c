"""The base of all samplers: one canonical stream an epoch, and this rank's share of what is left of it."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from torch.utils.data import Sampler

from resumable.samplers.arguments import DropLast, drop_last_rule, flag, integer, optional_text
from resumable.samplers.config import SamplerConfig
from resumable.samplers.groups import Groups
from resumable.samplers.iterator import SamplerIterator
from resumable.samplers.orders import OrderLike, order_of
from resumable.samplers.progress import Progress
from resumable.samplers.state import LIMIT, Layout, StreamSpec

_FIXED = frozenset({"seed", "shuffle", "drop_last", "num_replicas", "rank"})
"""What cannot be assigned: a new value would change nothing of what is read."""


class ResumableSampler(Sampler[int]):
    """A sampler that can stop after any batch and continue exactly, on the same or a different number of ranks.

    Epoch `e` has one stream of samples that depends on order, seed, epoch and length alone. Progress is a position in
    it, in samples of all ranks together. From position `G` rank `r` of `W` reads every `W`-th sample, beginning with
    `G + r`. That gives three guarantees, whenever a job is stopped and whatever `W` is after the restart:

    - **A**, with `W * batch_size` kept: every global batch is the same set of samples as without the stop.
    - **B**, with `W * batch_size` changed: every remaining sample comes exactly once, in the same stream order.
    - **C**: later epochs never depend on where, or how often, the job was stopped.

    The epoch changes by `set_epoch` and by nothing else, as with torch's `DistributedSampler`: without it every pass
    has the same order, and going over a sampler twice, to look at it or to count, moves nothing. Call `set_epoch` at
    the head of each epoch.

    Constructing costs nothing that grows with the number of samples.

    Args:
        order: How the samples of an epoch are arranged: the name of an order, or an order.
        num_samples: Length of an epoch's stream, `0 <= num_samples < 2**62`.
        seed: Seed of the order.
        shuffle: Whether the order changes from epoch to epoch; recorded in the state.
        drop_last: False pads a last row of samples that does not suffice for all ranks, True drops it, `"global"` drops
            a last global batch that is not full.
        num_replicas: Number of ranks.
        rank: This rank, `0 <= rank < num_replicas`.
        batch_size: Samples in a rank's batch.
        groups: How samples are grouped, if they are; each item is then the list of a group's samples.
        dataset_fingerprint: A mark of the data set's content; a state with a different one is refused.

    Raises:
        TypeError: an argument is of the wrong type; the message names it and its value.
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        order: OrderLike,
        *,
        num_samples: int,
        seed: int = 0,
        shuffle: bool = True,
        drop_last: DropLast = False,
        num_replicas: int = 1,
        rank: int = 0,
        batch_size: int = 1,
        groups: Groups | None = None,
        dataset_fingerprint: str | None = None,
    ) -> None:
        order = order_of(order)
        # NumPy's integers become plain ones here: a state must go through JSON.
        num_samples = integer("num_samples", num_samples, low=0, high=LIMIT)
        order.check(num_samples)
        batch_size = integer("batch_size", batch_size, low=1, high=LIMIT)
        if groups is not None and groups.is_batch and batch_size > 1:
            raise ValueError(f"batch_size={batch_size}: {groups.name} makes the batches; leave it 1")
        spec = StreamSpec(
            order=order.name,
            seed=integer("seed", seed, low=-LIMIT, high=LIMIT),
            shuffle=flag("shuffle", shuffle),
            num_samples=num_samples,
            drop_last=drop_last_rule("drop_last", drop_last),
            parameters=order.parameters,
            groups=None if groups is None else {"kind": groups.name, **groups.parameters},
        )
        layout = Layout(num_replicas=integer("num_replicas", num_replicas, low=1, high=LIMIT), batch_size=batch_size)
        vars(self)["seed"] = spec.seed
        self._progress = Progress(
            SamplerConfig(
                order=order,
                groups=groups,
                spec=spec,
                declared=spec,
                layout=layout,
                rank=integer("rank", rank, low=0, high=num_replicas),
                dataset_fingerprint=optional_text("dataset_fingerprint", dataset_fingerprint),
                kind=type(self).__name__,
            )
        )

    def __len__(self) -> int:
        """Return the number of samples, or of groups, that this rank reads in a whole epoch, whatever was skipped.

        Where samples are grouped, it is that of the present epoch, and takes a walk through it the first time.

        Raises:
            TypeError: the order is endless.
        """
        return self._progress.num_in_epoch

    def __iter__(self) -> SamplerIterator:
        """Begin a pass at the position of the sampler; beginning one, or breaking one off, does not move it."""
        return SamplerIterator.over(self._progress)

    @property
    def epoch(self) -> int:
        """Epoch of the next pass, or of the one under way. Assigning a different one is `set_epoch`."""
        return self._progress.epoch

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        if epoch != self._progress.epoch:
            self.set_epoch(epoch)

    @property
    def batch_size(self) -> int:
        """Number of samples in a rank's batch: the unit of `start_iter` and `commit`."""
        return self._progress.config.layout.batch_size

    def __setattr__(self, name: str, value: object) -> None:
        if name in _FIXED and name in vars(self):
            raise AttributeError(
                f"{name}={value!r}: stream and share are what the sampler was made with: make a new one"
            )
        super().__setattr__(name, value)

    @property
    def start_iter(self) -> int:
        """Batch of the epoch with which the next pass begins, `0 <= start_iter <= number of batches`.

        Assigned, it holds for one epoch: the one that the next `set_epoch` names or, without one, that of the next
        pass. `set_epoch` with a different epoch and a pass that was read to its end clear it. The number of batches
        itself leaves an empty rest. A loaded position inside a batch counts as that batch.

        Raises:
            TypeError: no integer was assigned.
            ValueError: it is negative or beyond the epoch.
        """
        return self._progress.start_iter

    @start_iter.setter
    def start_iter(self, start_iter: int) -> None:
        self._progress.skip_to_batch(start_iter)

    @property
    def remaining(self) -> int:
        """Number of samples that this rank has left in the epoch, from the position that `state_dict()` gives."""
        return self._progress.num_remaining

    def set_epoch(self, epoch: int) -> None:
        """Name the epoch of the next pass.

        The same epoch keeps the position, a different one begins at its start.

        Raises:
            TypeError: `epoch` is no integer.
            ValueError: `epoch` is negative, or samples of a different one are in flight that `commit` was not told of.
            StateMismatchError: a state was loaded that stands in a different epoch.
        """
        self._progress.set_epoch(integer("epoch", epoch, low=0, high=LIMIT))

    def mark_epochs(self) -> None:
        """Let each index carry its epoch, from the next pass on; a `SeededDataset` asks for it.

        Samplers that are made for a `SeededDataset`, and those in a `ResumableDataLoader` over one, do so by
        themselves.
        """
        self._progress.mark_epochs()

    def is_padding(self, batch: int) -> list[bool]:
        """Return which samples of a batch are there only because all ranks must read equally much.

        A metric that leaves them out counts every sample once. Padding is at most one sample a rank, in its last batch.

        Args:
            batch: Number of this rank's batch, counted from 0 in the latest pass.

        Returns:
            One value for each sample of the batch, in its order.

        Raises:
            TypeError: `batch` is no integer.
            ValueError: it is negative, or no pass was begun.
        """
        return self._progress.is_padding(batch)

    def commit(self, num_batches: int | Iterable[int] = 1) -> None:
        """Record what was trained on of the pass; call it after the optimizer's step.

        Once it was called in a pass, `state_dict()` gives the committed position, however far a loader has read ahead.

        Args:
            num_batches: How many more batches, in the order in which they were drawn. A loop that finishes samples in a
                different order passes the samples themselves: a list, an array or a tensor of indices, of groups whole
                ones. The state then lists what is finished behind the first sample that is not, and a job goes on with
                those that are not, each once. What is given up must be committed too. On several ranks, of which each has
                an order of its own, `joint_state` gives the state.

        Raises:
            TypeError: `num_batches` is no integer, or a sample is none.
            ValueError: it is negative, or so many batches were not drawn; samples are not in flight, or were committed by
                number before.
        """
        self._progress.commit(num_batches)

    def state_dict(self) -> dict[str, Any]:
        """Return the position: what was committed in this pass or, without `commit`, what was drawn.

        The same on all ranks that have trained on equally many batches. See `SamplerState` for what it holds.

        Looking moves nothing: of several passes, the position is that of the one which trains. That is the one whose
        batches were committed; else the first of those under way, so that counting, peeking and evaluating in between
        leave it alone.

        Raises:
            PositionUnknownError: several passes are under way, or were broken off, and nothing shows which one trains; or
                samples were committed out of order, on several ranks.

        Warns:
            UserWarning: once, if a loader with worker processes, or a different thread, draws from this sampler, so that
                what was drawn may not be what was trained on, and `commit` was not called.
        """
        return self._progress.state()

    def epoch_state_dict(self) -> dict[str, Any]:
        """Return the state at the start of the present epoch, which describes all of its samples; nothing is moved by it.

        The recorder of `resumable.launch` writes it down, and `resumable check` compares what came with it.
        """
        progress = self._progress
        return progress.config.state(progress.epoch, 0)

    def load_state_dict(self, state_dict: Mapping[str, Any], *, allow: Collection[str] = ()) -> None:
        """Go on from a state; the number of ranks and the batch size may have changed.

        `set_epoch` may come before or after, with the state's epoch or, if the state stands at the end of its epoch,
        with the next one. Loading twice equals loading once.

        Args:
            state_dict: What `state_dict()` gave, on any rank. It is not changed.
            allow: Fields that may differ, as `"stream.num_samples"`; each then warns.

        Raises:
            StateFormatError: the state is damaged, or of a newer version.
            StateMismatchError: it is of a different stream, or of a different epoch than `set_epoch` has named; the message
                names every field that differs, with both values.
        """
        self._progress.load(state_dict, allow=allow)


def progress_of(sampler: ResumableSampler) -> Progress:
    """Return the moving part of a sampler, for the loaders and adapters of this package."""
    return sampler._progress
