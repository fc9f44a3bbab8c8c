"""Fingerprints of the training state for evidence in memory: they follow from the parameters that its lines tell."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

import msgspec

from resumable.launch.evidence.fingerprints import Fingerprint, fingerprint, total
from resumable.launch.evidence.history import History, Process
from resumable.launch.evidence.rank_records import AnyRecord, Load, Moment, Rename, Save, State, Step
from tests.launch.lines import INITIAL

Components = dict[str, dict[str, Fingerprint]]
Change = Callable[[State], State]
NAMES: Mapping[str, tuple[str, ...]] = {
    "parameters": ("layer.bias", "layer.weight"),
    "optimizer": ("layer.bias", "layer.weight"),
    "buffers": ("norm.mean",),
    "scaler": ("0",),
    "random": ("torch",),
}
SHARDED = ("parameters", "optimizer")
QUICK = ("parameters", "optimizer", "buffers")


def one(*parts: object, num_elements: int = 8) -> Fingerprint:
    """Of a tensor that these words stand for."""
    return fingerprint(int(hashlib.blake2b(repr(parts).encode(), digest_size=8).hexdigest(), 16), num_elements)


def shard(whole: Fingerprint, rank: int, world_size: int) -> Fingerprint:
    """One rank's part of it; all of them add up to it, on any number of ranks."""
    share = 1 if rank else int(whole.whole, 16) - (world_size - 1)
    return fingerprint(share, whole.num_whole // world_size, is_part=True)


def components_of(state: str, rank: int, world_size: int, *, is_sharded: bool) -> Components:
    """What a rank holds when its parameters have this digest; an optimizer has no state before the first step."""
    components = {
        component: {name: one(component, name, state) for name in names}
        for component, names in NAMES.items()
        if component != "optimizer" or state != INITIAL
    }
    if is_sharded:
        for component in SHARDED:
            parts = components.get(component, {})
            components |= (
                {component: {name: shard(own, rank, world_size) for name, own in parts.items()}} if parts else {}
            )
    return components


def quick_of(components: Components) -> dict[str, Fingerprint]:
    """The quick form: it sees what the whole form sees."""
    return {component: total(components[component].values()) for component in QUICK if component in components}


def with_states(history: History, *, is_sharded: bool = False) -> History:
    """The same run with all fingerprints in its lines; every rank of a sharded job saves its part."""
    contents: dict[tuple[str, int], dict[str, Fingerprint]] = {}
    processes = []
    for process in history.processes:
        processes.append(_with_states(process, contents, is_sharded=is_sharded))
    return msgspec.structs.replace(history, processes=tuple(processes))


def _with_states(
    process: Process, contents: dict[tuple[str, int], dict[str, Fingerprint]], *, is_sharded: bool
) -> Process:
    rank, world_size = process.rank, process.start.world_size
    state = next((r.before for r in process.records if isinstance(r, Step) and r.before), INITIAL)
    lines: list[AnyRecord] = []

    def held(moment: Moment) -> State:
        components = components_of(state, rank, world_size, is_sharded=is_sharded)
        return State(sequence=0, time_ns=0, moment=moment, components=components, quick=quick_of(components))

    for record in process.records:
        if isinstance(record, Step):
            if record.before is not None:
                start = held("start")
                lines.append(msgspec.structs.replace(start, quick={"buffers": Fingerprint(), **start.quick}))
            state = record.after or state
            components = components_of(state, rank, world_size, is_sharded=is_sharded)
            lines.append(msgspec.structs.replace(record, components=quick_of(components)))
        elif isinstance(record, Save) and record.phase == "begin":
            lines.append(held("save"))
            content = content_of(lines[-1], state)
            contents[record.path, rank] = content
            lines.append(msgspec.structs.replace(record, fingerprints=content))
        elif isinstance(record, Load):
            lines.append(
                msgspec.structs.replace(record, fingerprints=_read(record.path, state, rank, world_size, is_sharded))
            )
        else:
            if isinstance(record, Rename):
                contents[record.target, rank] = contents.pop((record.source, rank), {})
            lines.append(record)
    records = tuple(msgspec.structs.replace(line, sequence=number) for number, line in enumerate(lines))
    return msgspec.structs.replace(process, records=records)


def content_of(held: AnyRecord, state: str) -> dict[str, Fingerprint]:
    """A checkpoint of model, optimizer and a counter."""
    assert isinstance(held, State)
    components = held.components
    keys = {"model": "parameters", "optimizer": "optimizer"}
    content = {key: total(components[component].values()) for key, component in keys.items() if component in components}
    return {**content, "step": one("step", state, num_elements=1)}


def content_after(state: str) -> dict[str, Fingerprint]:
    """A checkpoint of a job that is not sharded, with parameters of this digest."""
    components = components_of(state, 0, 1, is_sharded=False)
    return content_of(State(sequence=0, time_ns=0, moment="save", components=components), state)


def _read(path: str, state: str, rank: int, world_size: int, is_sharded: bool) -> dict[str, Fingerprint]:
    """What a process reads that then goes on with this state."""
    components = components_of(state, rank, world_size, is_sharded=is_sharded)
    return content_of(State(sequence=0, time_ns=0, moment="save", components=components), state)


def with_component(record: State, component: str, parts: dict[str, Fingerprint]) -> State:
    """With a component that holds this; the quick form sees it."""
    components = {**record.components, component: parts}
    quick = {**record.quick, component: total(parts.values())} if component in QUICK else record.quick
    return msgspec.structs.replace(
        record, components={name: own for name, own in components.items() if own}, quick=quick
    )


def with_generators(*words: str, name: str = "torch") -> Callable[[AnyRecord], AnyRecord]:
    """What a process has of its random generators when it starts, and at its saves one after the other."""
    there = iter(words)

    def change(line: AnyRecord) -> AnyRecord:
        if not isinstance(line, State):
            return line
        return with_component(line, "random", {name: one(next(there)), "other": one("never drawn from")})

    return change
