"""What a sampler is made of: the order, the stream, the layout, and this rank's part; and states that belong to them."""

import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from resumable.samplers.errors import StateMismatchError
from resumable.samplers.fingerprint import order_fingerprint, writer
from resumable.samplers.orders import Order, Stream
from resumable.samplers.share import Share
from resumable.samplers.state import Fingerprint, Layout, SamplerState, StreamSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class SamplerConfig:
    """What a sampler was constructed with.

    Only `whole_batches` and `marks_epochs` change later, when a loader that asks for them is put around the sampler; the
    sampler then takes a changed copy, from the next pass on.
    """

    order: Order
    spec: StreamSpec
    layout: Layout
    rank: int
    dataset_fingerprint: str | None
    kind: str
    """Name of the sampler's class, for the states."""
    whole_batches: bool = False
    """Whether the rank's loader drops a last batch that is not full."""
    marks_epochs: bool = False
    """Whether each index carries its epoch, for a `SeededDataset`."""
    _streams: dict[int, Stream] = field(default_factory=dict, compare=False, repr=False)
    """The latest stream under its epoch: a pass, the digest in its states and a loaded state ask for the same one."""

    @property
    def num_samples(self) -> int:
        """Length of an epoch's stream."""
        return self.spec.num_samples

    @property
    def num_batches(self) -> int:
        """Number of this rank's batches in a whole epoch."""
        return -(-self.share(0).num_rows // self.layout.batch_size)

    def share(self, start: int) -> Share:
        """Return this rank's part of an epoch from a position on."""
        return Share(
            num_samples=self.num_samples,
            start=start,
            num_replicas=self.layout.num_replicas,
            rank=self.rank,
            batch_size=self.layout.batch_size,
            drop_last=self.spec.drop_last,
            whole_batches=self.whole_batches,
        )

    def stream(self, epoch: int) -> Stream:
        """Return the stream of an epoch; the one that was asked for last costs nothing."""
        if epoch not in self._streams:
            self._streams.clear()
            self._streams[epoch] = self.order.stream(num_samples=self.num_samples, seed=self.spec.seed, epoch=epoch)
        return self._streams[epoch]

    def state(self, epoch: int, consumed: int) -> SamplerState:
        """Return a position as a state."""
        order = order_fingerprint(self.stream(epoch), self.num_samples)
        return SamplerState(
            kind=self.kind,
            epoch=epoch,
            consumed=consumed,
            stream=self.spec,
            layout=self.layout,
            fingerprint=Fingerprint(dataset=self.dataset_fingerprint, order=order),
            writer=writer(),
        )

    def position(self, state_dict: Mapping[str, Any], *, allow: Collection[str]) -> tuple[int, int]:
        """Return epoch and position of a state.

        Raises:
            StateFormatError: the state is damaged.
            StateMismatchError: it is of a different stream, in a field that is not allowed to differ.
        """
        saved = SamplerState.from_dict(state_dict)
        differences = {
            name: f"{name}: saved {saved_value!r}, here {our_value!r}"
            for name, saved_value, our_value in saved.differences(self.state(saved.epoch, 0))
        }
        refused = [message for name, message in differences.items() if name not in allow]
        if refused:
            raise StateMismatchError("the state is of a different stream of samples; " + "; ".join(refused))
        for message in differences.values():
            warnings.warn(f"the state is of a different stream, as allowed: {message}", stacklevel=5)
        if saved.consumed == saved.stream.num_samples:
            return saved.epoch, self.num_samples
        if saved.consumed > self.num_samples:
            raise StateMismatchError(f"consumed: saved {saved.consumed}, here are only {self.num_samples} samples")
        return saved.epoch, saved.consumed
