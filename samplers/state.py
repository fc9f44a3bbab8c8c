"""The state of a sampler: what it holds, how it is read, and when two states belong to the same stream."""

from collections.abc import Collection, Iterator, Mapping
from functools import cache
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from resumable.samplers.errors import StateFormatError
from resumable.samplers.migrations import FORMAT, VERSION, migrated

LIMIT = 2**62
"""Bound of every count: positions of several ranks beyond the end of a stream still fit into 64 bits."""

_Count = Annotated[int, Meta(ge=0, lt=LIMIT)]
_PositiveCount = Annotated[int, Meta(ge=1, lt=LIMIT)]
_Run = Annotated[list[_Count], Meta(min_length=2, max_length=2)]


class StreamSpec(Struct, frozen=True, kw_only=True):
    """What the order of an epoch depends on, and which tail of it is dropped. Must match when a state is loaded."""

    order: str
    """Name and version of the order, as `randperm/1`."""
    seed: Annotated[int, Meta(ge=-LIMIT, lt=LIMIT)]
    shuffle: bool
    num_samples: _Count
    drop_last: bool | Literal["global"]
    parameters: dict[str, Any]
    """What else the order depends on, as sizes of blocks or weights of a mixture."""
    groups: dict[str, Any] | None
    """How samples are grouped: kind and version, and what the groups depend on; None if they are not."""


class Amendment(Struct, frozen=True, kw_only=True):
    """What of the stream's description held up to a position, from which on it was amended."""

    epoch: _Count
    consumed: _Count
    num_samples: _Count
    parameters: dict[str, Any]


class Layout(Struct, frozen=True, kw_only=True):
    """How the stream is dealt out. May change between saving and loading."""

    num_replicas: _PositiveCount
    batch_size: _PositiveCount


class Fingerprint(Struct, frozen=True, kw_only=True):
    """Digests that notice what the stream's description cannot show."""

    dataset: str | None
    """The caller's own mark of the data set's content; None claims nothing and agrees with everything."""
    order: str
    """Digest of the epoch's first and last samples: a different one if a torch release draws a different permutation."""


GLOBAL_BATCH = "layout.num_replicas * layout.batch_size"
COMPARED_FIELDS = (
    *(f"stream.{name}" for name in StreamSpec.__struct_fields__),
    *(f"fingerprint.{name}" for name in Fingerprint.__struct_fields__),
    GLOBAL_BATCH,
)
"""Everything in which two states can differ, so that they are not positions in the same stream."""
_ORDER_FIELDS = ("order", "seed", "shuffle", "num_samples", "parameters", "groups")


class Writer(Struct, frozen=True, kw_only=True):
    """Versions that wrote a state: for people who look at one, never compared."""

    resumable: str
    torch: str


class SamplerState(Struct, frozen=True, kw_only=True):
    """A position in a stream of samples, the same on every rank.

    It is plain data: `to_dict` gives dicts, strings, integers, booleans and None, which JSON and
    `torch.load(weights_only=True)` accept; `from_dict` can fail, but cannot execute anything.
    """

    kind: str
    """Class of the sampler that wrote it: for people, never compared."""
    epoch: _Count
    consumed: _Count
    """Position in the epoch's stream, in samples of all ranks together."""
    skipped: list[_Count]
    """Positions in the epoch's stream that the writing rank's loop left out, because they could not be loaded."""
    finished: list[_Run]
    """What is finished behind `consumed` where samples are finished out of order: half-open runs of positions, ascending."""
    stream: StreamSpec
    amendments: list[Amendment]
    """What held before `stream` did, in the order in which it ended: old positions keep their meaning."""
    layout: Layout
    fingerprint: Fingerprint
    writer: Writer

    def to_dict(self) -> dict[str, Any]:
        """Return the state as nested dicts."""
        fields: dict[str, Any] = msgspec.to_builtins(self)
        return {"format": FORMAT, "version": VERSION} | fields

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "SamplerState":
        """Read a state of this or of an older version; the argument is not changed.

        Raises:
            StateFormatError: the state is damaged, of a newer version, or no sampler's; the message names every field
                that is wrong.
        """
        values = migrated(state)
        problems = list(_problems("", values, cls))
        if problems:
            raise StateFormatError("damaged sampler state: " + "; ".join(problems))
        return msgspec.convert(values, cls, strict=True)

    def differences(self, ours: "SamplerState") -> Iterator[tuple[str, object, object]]:
        """Yield (field, saved value, our value) wherever the two are not positions in the same stream."""
        yield from _differences("stream", self.stream, ours.stream, StreamSpec.__struct_fields__)
        marks = self.fingerprint.dataset, ours.fingerprint.dataset
        if None not in marks and marks[0] != marks[1]:
            yield "fingerprint.dataset", *marks
        # Where what the order depends on differs, so does its digest, which then shows nothing new.
        if not any(_differences("stream", self.stream, ours.stream, _ORDER_FIELDS)):
            yield from _differences("fingerprint", self.fingerprint, ours.fingerprint, ["order"])
        saved_batch, our_batch = (state.layout.num_replicas * state.layout.batch_size for state in (self, ours))
        if self.stream.drop_last == "global" and saved_batch != our_batch:
            yield GLOBAL_BATCH, saved_batch, our_batch


def _problems(path: str, values: object, kind: type[Struct]) -> Iterator[str]:
    """Yield what is wrong with each field; msgspec by itself names the first one, and not its value."""
    if not isinstance(values, Mapping):
        yield f"{path}={values!r}: expected a dict"
        return
    types = _types(kind)
    if values.keys() != types.keys():
        missing, unknown = sorted(types.keys() - values.keys()), sorted(values.keys() - types.keys(), key=str)
        yield f"{path or 'state'} lacks {missing} and has unknown {unknown}"
    for name in types.keys() & values.keys():
        yield from _problems_of_field(f"{path}.{name}" if path else name, values[name], types[name])


@cache
def _types(kind: type[Struct]) -> dict[str, Any]:
    return {field.name: field.type for field in msgspec.structs.fields(kind)}


def _problems_of_field(path: str, value: object, kind: Any) -> Iterator[str]:  # noqa: ANN401 - an annotation
    if isinstance(kind, type) and issubclass(kind, Struct):
        yield from _problems(path, value, kind)
        return
    try:
        msgspec.convert(value, kind, strict=True)
    except msgspec.ValidationError as error:
        yield f"{path}={value!r}: {error}"


def _differences(
    name: str, saved: Struct, ours: Struct, fields: Collection[str]
) -> Iterator[tuple[str, object, object]]:
    for field in fields:
        saved_value, our_value = getattr(saved, field), getattr(ours, field)
        if saved_value != our_value:
            yield f"{name}.{field}", saved_value, our_value
