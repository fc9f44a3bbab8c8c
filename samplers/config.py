"""What a sampler is made of: the order, the stream, the layout, and this rank's part; and states that belong to them."""

import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import msgspec

from resumable.samplers.errors import StateMismatchError
from resumable.samplers.fingerprint import order_fingerprint, writer
from resumable.samplers.migrations import FORMAT, VERSION
from resumable.samplers.orders import Order, Stream
from resumable.samplers.share import Share
from resumable.samplers.state import COMPARED_FIELDS, Fingerprint, Layout, SamplerState, StreamSpec

_MAX_DIGESTS = 4


@dataclass(frozen=True, kw_only=True)
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
    _digests: dict[int, str] = field(default_factory=dict, compare=False, repr=False)
    """Digests of the orders of the latest epochs: each is the same in all states of its epoch."""

    @cached_property
    def _sections(self) -> tuple[dict[str, Any], ...]:
        return tuple(msgspec.structs.asdict(section) for section in (self.spec, self.layout, writer()))

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

    def state(self, epoch: int, consumed: int, skipped: Sequence[int] = ()) -> dict[str, Any]:
        """Return a position as a state."""
        # As SamplerState.to_dict would, several times faster: a loader may ask for one with each batch.
        stream, layout, writer = self._sections
        return {
            "format": FORMAT,
            "version": VERSION,
            "kind": self.kind,
            "epoch": epoch,
            "consumed": consumed,
            "skipped": [*skipped],
            "stream": stream.copy(),
            "layout": layout.copy(),
            "fingerprint": {"dataset": self.dataset_fingerprint, "order": self.order_digest(epoch)},
            "writer": writer.copy(),
        }

    def loadable(self, state_dict: Mapping[str, Any], *, allow: Collection[str]) -> SamplerState:
        """Return a state as this sampler can go on from it.

        Raises:
            StateFormatError: the state is damaged.
            StateMismatchError: it is of a different stream, in a field that is not allowed to differ.
            ValueError: `allow` names no field that may differ.
        """
        allowed = {allow} if isinstance(allow, str) else set(allow)
        unknown = sorted(allowed - set(COMPARED_FIELDS))
        if unknown:
            raise ValueError(f"allow={unknown}: expected some of {', '.join(COMPARED_FIELDS)}")
        saved = SamplerState.from_dict(state_dict)
        differences = {
            name: f"{name}: saved {saved_value!r}, here {our_value!r}"
            for name, saved_value, our_value in saved.differences(self._state(saved.epoch, 0, ()))
        }
        refused = [message for name, message in differences.items() if name not in allowed]
        if refused:
            raise StateMismatchError("the state is of a different stream of samples; " + "; ".join(refused))
        for message in differences.values():
            warnings.warn(f"the state is of a different stream, as allowed: {message}", stacklevel=5)
        if saved.stream.num_samples == self.num_samples:
            return saved
        if saved.consumed == saved.stream.num_samples:
            return msgspec.structs.replace(saved, consumed=self.num_samples)
        if saved.consumed:
            raise StateMismatchError(
                f"consumed: saved {saved.consumed} of {saved.stream.num_samples} samples, here are {self.num_samples}: an "
                "epoch of a different length has a different order, in which this position means nothing; a state from "
                "the start or the end of an epoch can be loaded"
            )
        return saved

    def order_digest(self, epoch: int) -> str:
        """Return the digest of an epoch's order; those of the latest epochs cost nothing."""
        digest = self._digests.get(epoch)
        if digest is None:
            digest = self._digests[epoch] = order_fingerprint(self.stream(epoch), self.num_samples)
            # Of two epochs that are alive at once, neither makes the other's be found again with each state.
            for oldest in list(self._digests)[:-_MAX_DIGESTS]:
                del self._digests[oldest]
        return digest

    def _state(self, epoch: int, consumed: int, skipped: Sequence[int]) -> SamplerState:
        return SamplerState(
            kind=self.kind,
            epoch=epoch,
            consumed=consumed,
            skipped=[*skipped],
            stream=self.spec,
            layout=self.layout,
            fingerprint=Fingerprint(dataset=self.dataset_fingerprint, order=self.order_digest(epoch)),
            writer=writer(),
        )
