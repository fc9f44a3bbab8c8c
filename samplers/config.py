"""What a sampler is made of: the order, the stream, the layout, and this rank's part."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import msgspec

from resumable.samplers.deal import Deal, SampleDeal
from resumable.samplers.fingerprint import order_fingerprint, writer
from resumable.samplers.finished import NOTHING, Finished
from resumable.samplers.group_deal import GroupDeal
from resumable.samplers.groups import Groups, GroupStream
from resumable.samplers.migrations import FORMAT, VERSION
from resumable.samplers.orders import Era, Order, Stream
from resumable.samplers.share import Share
from resumable.samplers.state import LIMIT, Amendment, Fingerprint, Layout, SamplerState, StreamSpec

_MAX_EPOCHS = 4


@dataclass(frozen=True, kw_only=True)
class SamplerConfig:
    """What a sampler was constructed with.

    `whole_batches` and `marks_epochs` change when a loader that asks for them is put around the sampler, and what was
    amended is added by the states that are loaded; the sampler then takes a changed copy, from the next pass on.
    """

    order: Order
    spec: StreamSpec
    """What holds."""
    declared: StreamSpec
    """What the constructor was told; a loaded state may have been amended since."""
    layout: Layout
    rank: int
    dataset_fingerprint: str | None
    kind: str
    """Name of the sampler's class, for the states."""
    groups: Groups | None = None
    """How samples are grouped, if they are."""
    amendments: tuple[Amendment, ...] = ()
    """What held before, in the order in which it ended."""
    whole_batches: bool = False
    """Whether the rank's loader drops a last batch that is not full."""
    marks_epochs: bool = False
    """Whether each index carries its epoch, for a `SeededDataset`."""
    _streams: dict[int, Stream] = field(default_factory=dict, compare=False, repr=False)
    """The latest stream under its epoch: a pass, the digest in its states and a loaded state ask for the same one."""
    _templates: dict[int, dict[str, Any]] = field(default_factory=dict, compare=False, repr=False)
    """States of the latest epochs, with no position."""
    _num_rows: dict[tuple[int, bool], int] = field(default_factory=dict, compare=False, repr=False)
    """Number of items in the latest epoch: where samples are grouped, counting them takes a walk."""
    _digests: dict[int, str] = field(default_factory=dict, compare=False, repr=False)
    """Digests of the orders of the latest epochs: each is the same in all states of its epoch."""

    def as_declared(self) -> "SamplerConfig":
        """Return what the constructor made, with nothing amended."""
        if (self.spec, self.amendments) == (self.declared, ()):
            return self
        return replace(self, spec=self.declared, amendments=(), _streams={}, _digests={}, _num_rows={}, _templates={})

    @cached_property
    def eras(self) -> list[Era]:
        """What held and holds, in the order of its beginnings."""
        begins = [(0, 0), *((held.epoch, held.consumed) for held in self.amendments)]
        described: list[Amendment | StreamSpec] = [*self.amendments, self.spec]
        return [
            Era(epoch=epoch, consumed=consumed, num_samples=held.num_samples, parameters=held.parameters)
            for (epoch, consumed), held in zip(begins, described, strict=True)
        ]

    @property
    def is_endless(self) -> bool:
        """Whether there is one epoch, which does not end."""
        return self.length(0) >= LIMIT

    def length(self, epoch: int) -> int:
        """Return the length of an epoch's stream."""
        [*_, era] = [era for era in self.eras if era.epoch <= epoch]
        return self.order.length(era.num_samples)

    def num_rows(self, epoch: int) -> int:
        """Return the number of this rank's items in a whole epoch."""
        if self.groups is None:
            return self.deal(epoch, 0).num_rows
        if (epoch, self.whole_batches) not in self._num_rows:
            self._num_rows.clear()
            self._num_rows[epoch, self.whole_batches] = self.deal(epoch, 0).num_rows
        return self._num_rows[epoch, self.whole_batches]

    def num_batches(self, epoch: int) -> int:
        """Return the number of this rank's batches in a whole epoch."""
        return -(-self.num_rows(epoch) // self.layout.batch_size)

    def deal(self, epoch: int, start: int, finished: Finished = NOTHING) -> Deal:
        """Return this rank's part of what is left of an epoch from a position on.

        Raises:
            ValueError: samples are grouped, and no group begins there, or with what is finished.
        """
        if self.groups is None:
            share = Share(
                num_samples=self.length(epoch) - finished.count,
                start=start,
                num_replicas=self.layout.num_replicas,
                rank=self.rank,
                batch_size=self.layout.batch_size,
                drop_last=self.spec.drop_last,
                whole_batches=self.whole_batches,
            )
            return SampleDeal(share, self.stream(epoch), finished)
        return GroupDeal(
            self._grouped(self.groups, epoch),
            start=start,
            finished=finished,
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
            self._streams[epoch] = self.order.epoch_stream(self.eras, seed=self.spec.seed, epoch=epoch)
        return self._streams[epoch]

    def amended(self, epoch: int, consumed: int, ours: StreamSpec) -> "SamplerConfig":
        """Return what goes on as `ours` from a position on; where samples are grouped, from the end of their block."""
        if self.groups is not None and 0 < consumed < self.length(epoch):
            start, stop = self._grouped(self.groups, epoch).borders(consumed)
            consumed = consumed if start == consumed else stop
        # A job that went back goes on from there, as it was then: what was amended later never came to hold.
        earlier = [held for held in self.amendments if (held.epoch, held.consumed) <= (epoch, consumed)]
        described: list[Amendment | StreamSpec] = [*self.amendments, self.spec]
        ends = described[len(earlier)]
        held = Amendment(epoch=epoch, consumed=consumed, num_samples=ends.num_samples, parameters=ends.parameters)
        return replace(
            self, spec=ours, amendments=(*earlier, held), _streams={}, _digests={}, _num_rows={}, _templates={}
        )

    def state(
        self, epoch: int, consumed: int, skipped: Sequence[int] = (), finished: Finished = NOTHING
    ) -> dict[str, Any]:
        """Return a position as a state."""
        # As SamplerState.to_dict would, several times faster, for a loader may ask for one with each batch: what stays the
        # same in an epoch is copied in one call.
        template = self._templates.get(epoch)
        if template is None:
            template = self._templates[epoch] = {
                "format": FORMAT,
                "version": VERSION,
                "kind": self.kind,
                "epoch": epoch,
                "consumed": 0,
                "skipped": [],
                "finished": [],
                "stream": self.spec,
                "amendments": [*self.amendments],
                "layout": self.layout,
                "fingerprint": {"dataset": self.dataset_fingerprint, "order": self.order_digest(epoch)},
                "writer": writer(),
            }
            # Of two epochs that are alive at once, neither makes the other's be found again with each state.
            for oldest in list(self._templates)[:-_MAX_EPOCHS]:
                del self._templates[oldest]
        state: dict[str, Any] = msgspec.to_builtins(template)
        state["consumed"] = consumed
        if skipped:
            state["skipped"] = [*skipped]
        if finished.runs:
            state["finished"] = [[*run] for run in finished.runs]
        return state

    def standing(self, epoch: int) -> SamplerState:
        """Return the state at the start of an epoch, to compare others with."""
        return SamplerState(
            kind=self.kind,
            epoch=epoch,
            consumed=0,
            skipped=[],
            finished=[],
            stream=self.spec,
            amendments=[*self.amendments],
            layout=self.layout,
            fingerprint=Fingerprint(dataset=self.dataset_fingerprint, order=self.order_digest(epoch)),
            writer=writer(),
        )

    def order_digest(self, epoch: int) -> str:
        """Return the digest of an epoch's order; those of the latest epochs cost nothing."""
        digest = self._digests.get(epoch)
        if digest is None:
            length = None if self.is_endless else self.length(epoch)
            digest = self._digests[epoch] = order_fingerprint(self.stream(epoch), length, self.groups)
            for oldest in list(self._digests)[:-_MAX_EPOCHS]:
                del self._digests[oldest]
        return digest

    def _grouped(self, groups: Groups, epoch: int) -> GroupStream:
        starts = [era.consumed for era in self.eras if era.epoch == epoch and era.consumed]
        return GroupStream(
            groups,
            self.stream(epoch),
            length=self.length(epoch),
            starts=[0, *starts],
            identity=(self.spec.seed, epoch),
        )
