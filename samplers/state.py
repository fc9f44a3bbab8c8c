"""The state of a sampler: what it holds, how it is read, and when two states belong to the same stream."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

from resumable.samplers.arguments import DropLast, drop_last, flag, integer, optional_text, text
from resumable.samplers.errors import StateFormatError
from resumable.samplers.migrations import FORMAT, VERSION, migrated

LIMIT = 2**62
"""Bound of every count: positions of several ranks beyond the end of a stream still fit into 64 bits."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamSpec:
    """What the order of an epoch depends on, and which tail of it is dropped. Must match when a state is loaded."""

    order: str
    """Name and version of the order, as `randperm/1`."""
    seed: int
    shuffle: bool
    num_samples: int
    drop_last: DropLast

    def __post_init__(self) -> None:
        text("order", self.order)
        integer("seed", self.seed, low=-LIMIT, high=LIMIT)
        flag("shuffle", self.shuffle)
        integer("num_samples", self.num_samples, low=0, high=LIMIT)
        drop_last("drop_last", self.drop_last)


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """How the stream is dealt out. May change between saving and loading."""

    num_replicas: int
    batch_size: int

    def __post_init__(self) -> None:
        integer("num_replicas", self.num_replicas, low=1, high=LIMIT)
        integer("batch_size", self.batch_size, low=1, high=LIMIT)


@dataclass(frozen=True, kw_only=True, slots=True)
class Fingerprint:
    """Digests that notice what the stream's description cannot show."""

    dataset: str | None
    """The caller's own mark of the data set's content; None claims nothing and agrees with everything."""
    order: str
    """Digest of the first and last samples of the epoch: another one if a torch release draws another permutation."""

    def __post_init__(self) -> None:
        optional_text("dataset", self.dataset)
        text("order", self.order)


@dataclass(frozen=True, kw_only=True, slots=True)
class Writer:
    """Versions that wrote a state: for people who look at one, never compared."""

    resumable: str
    torch: str

    def __post_init__(self) -> None:
        text("resumable", self.resumable)
        text("torch", self.torch)


_Section = TypeVar("_Section", StreamSpec, Layout, Fingerprint, Writer)


@dataclass(frozen=True, kw_only=True, slots=True)
class SamplerState:
    """A position in a stream of samples, the same on every rank.

    It is plain data: `to_dict` gives dicts, strings, integers, booleans and None, which JSON and
    `torch.load(weights_only=True)` accept; `from_dict` can fail, but cannot execute anything.
    """

    kind: str
    """Class of the sampler that wrote it: for people, never compared."""
    epoch: int
    consumed: int
    """Position in the epoch's stream, in samples of all ranks together, `0 <= consumed <= stream.num_samples`."""
    stream: StreamSpec
    layout: Layout
    fingerprint: Fingerprint
    writer: Writer

    def __post_init__(self) -> None:
        text("kind", self.kind)
        integer("epoch", self.epoch, low=0, high=LIMIT)
        integer("consumed", self.consumed, low=0, high=self.stream.num_samples + 1)

    def to_dict(self) -> dict[str, Any]:
        """Return the state as nested dicts."""
        return {"format": FORMAT, "version": VERSION} | asdict(self)

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "SamplerState":
        """Read a state of this or of an older version; the argument is not changed.

        Raises:
            StateFormatError: the state is damaged, of a newer version, or no sampler's; the message names the field.
        """
        values = migrated(state)
        _check_keys("state", values, expected={field.name for field in fields(cls)})
        try:
            return cls(
                kind=values["kind"],
                epoch=values["epoch"],
                consumed=values["consumed"],
                stream=_section(StreamSpec, "stream", values),
                layout=_section(Layout, "layout", values),
                fingerprint=_section(Fingerprint, "fingerprint", values),
                writer=_section(Writer, "writer", values),
            )
        except (TypeError, ValueError) as error:
            raise StateFormatError(f"damaged sampler state: {error}") from error

    def differences(self, ours: "SamplerState") -> Iterator[tuple[str, object, object]]:
        """Yield (field, saved value, our value) wherever the two are not positions in the same stream."""
        yield from _differences("stream", self.stream, ours.stream)
        if self.stream == ours.stream:
            yield from _differences("fingerprint", self.fingerprint, ours.fingerprint)
        saved_batch, our_batch = (state.layout.num_replicas * state.layout.batch_size for state in (self, ours))
        if self.stream.drop_last == "global" and saved_batch != our_batch:
            yield "layout.num_replicas * layout.batch_size", saved_batch, our_batch


def _section(section: type[_Section], name: str, values: dict[str, Any]) -> _Section:
    content = values[name]
    if not isinstance(content, Mapping):
        raise TypeError(f"{name}={content!r}: expected a dict")
    _check_keys(name, content, expected={field.name for field in fields(section)})
    try:
        return section(**content)
    except (TypeError, ValueError) as error:
        raise StateFormatError(f"{name}.{error}") from error


def _check_keys(name: str, content: Mapping[str, Any], *, expected: set[str]) -> None:
    if content.keys() != expected:
        missing, unknown = expected - content.keys(), content.keys() - expected
        raise StateFormatError(
            f"damaged sampler state: {name} lacks {sorted(missing)} and has unknown {sorted(unknown, key=str)}"
        )


def _differences(
    name: str, saved: StreamSpec | Fingerprint, ours: StreamSpec | Fingerprint
) -> Iterator[tuple[str, object, object]]:
    for field in fields(saved):
        saved_value, our_value = getattr(saved, field.name), getattr(ours, field.name)
        claims_nothing = field.name == "dataset" and None in (saved_value, our_value)
        if saved_value != our_value and not claims_nothing:
            yield f"{name}.{field.name}", saved_value, our_value
