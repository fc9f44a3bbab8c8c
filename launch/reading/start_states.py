"""What each process went on from, and what this run had at the save that its group read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from resumable.launch.evidence.fingerprints import Fingerprint
from resumable.launch.evidence.rank_records import State
from resumable.launch.reading.group_states import Form, HadStates, form_of, merged_form, start_state
from resumable.launch.reading.handovers import saves_read
from resumable.launch.reading.lives import Life, Run
from resumable.launch.reading.saves import Moment, Saved

MUST_BE_RESTORED: tuple[Component, ...] = ("parameters", "optimizer", "buffers", "scaler", "gradients")
"""Whatever the job; schedulers show in the learning rates, random state in what it decides."""
_TOLD = ("schedulers", "random", "untrained", "unsaved")
"""Compared, too, and accusing nobody: a job may make them as they were, or set them before each step."""


Component = Literal["parameters", "optimizer", "buffers", "scaler", "gradients"]
Beside = Literal["untrained", "unsaved"]
Way = Literal["changed", "fresh", "replaced", "added"]
"""How parameters differ from those of the save: fresh, once more what this rank's first process had at its start; replaced,
in no model, which has others by their names that nothing trains; added, by names that the save does not have."""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """How a component that a process began with differs from that of the save."""

    names: tuple[str, ...]
    """In it, that are different; () where only the whole of it is known."""
    altered: tuple[str, ...]
    """Those of which there was something of this size at the save, too: a model that is made for a validation may be there
    at one of both alone, and a cache grows."""
    is_lost: bool
    """The process has nothing of it; of an optimizer: nothing under those names."""
    is_of_another: bool
    """Another rank went on with it, too, and had had it at the save: this one may have read that one's file."""
    is_plain: bool
    """Its quick form is different, too."""
    way: Way = "changed"
    """Of parameters."""


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """What one process had before its first step, beside what this run had at a save."""

    life: Life
    moment: Moment
    """Of the save."""
    path: str
    """Of the save, for people; "" where it has none."""
    differing: Mapping[str, Difference]
    """Components that are different."""
    equal: frozenset[str]
    """Components that are the same; those of which there is nothing are left out."""
    spread: frozenset[str]
    """Components of which each rank of the group has a part: what is said of them is said of all ranks together."""
    is_passing: bool
    """The parameters are the same, and the job had them only while it saved: not after the step, nor when it went on."""


def starts_of(run: Run) -> tuple[Start, ...]:
    """What the resumed processes of a run started from, as far as it was recorded and the save is known."""
    starts: list[Start] = []
    for incarnation in run.history.incarnations:
        group = [life for life in run.resumed if life.incarnation == incarnation and life.first_step]
        starts.extend(_starts(run, group, run.saved_before(incarnation)))
    return tuple(starts)


def _starts(run: Run, group: Sequence[Life], saved: Sequence[Saved]) -> list[Start]:
    """Of one group, beside the save of those that it may have read with which most of it agrees."""
    found = {life.rank: state for life in group if (state := start_state(life)) is not None}
    if not found:
        return []
    read = saves_read([life.trajectory for life in group], saved)
    moments = {moment for one in read for moment in _moments(one, group)} or _by_parameters(run, group)
    judged = [
        [_start(run, life, found, HadStates(run, moment, saved)) for life in group if _is_at(run, life, moment, found)]
        for moment in moments
    ]
    return max(filter(None, judged), key=_agreement, default=[])


def _is_at(run: Run, life: Life, moment: Moment, found: Mapping[int, State]) -> bool:
    """Whether it is known what a process had when it went on: some others may have stepped on before its first step."""
    _, step = moment
    sat_out = step != life.common_step and step in run.lockstep.common(life.rank, life.first_step)
    return life.rank in found and not sat_out


def _agreement(starts: Sequence[Start]) -> tuple[int, int, Moment]:
    num_differing = sum(component in start.differing for start in starts for component in MUST_BE_RESTORED)
    return -num_differing, sum(len(start.equal) for start in starts), starts[0].moment


def _moments(read: Saved, group: Sequence[Life]) -> Iterable[Moment]:
    """When its rank may have had what was saved: where a thread wrote it, the parameters that were read tell."""
    steps = range(read.earliest_step, read.step + 1)
    return [(read.incarnation, step) for step in _steps_by_parameters(group).intersection(steps) or steps]


def _steps_by_parameters(group: Sequence[Life]) -> set[int]:
    return {life.common_step for life in group if life.resume is not None and life.resume.how == "parameters"}


def _by_parameters(run: Run, group: Sequence[Life]) -> list[Moment]:
    """Where nothing was seen to be read: the latest time at which the run had these parameters."""
    steps = _steps_by_parameters(group)
    if len(steps) != 1:
        return []
    [step] = steps
    earlier = [life for life in run.lives if life.incarnation < group[0].incarnation and _has_done(run, life, step)]
    return [(max(life.incarnation for life in earlier), step)] if earlier else []


def _has_done(run: Run, life: Life, step: int) -> bool:
    own = run.lockstep.own(life.rank, step)
    return life.first_step <= own <= life.end_step and bool(life.steps)


def _start(run: Run, life: Life, found: Mapping[int, State], had: HadStates) -> Start:
    is_resized = run.history.world_size(life.incarnation) != run.history.world_size(had.moment[0])
    differing: dict[str, Difference] = {}
    equal: set[str] = set()
    spread: set[str] = set()
    is_passing = False
    is_part = _is_part(life, found[life.rank])
    for component in (*MUST_BE_RESTORED, *_TOLD):
        if not _is_captured(found[life.rank], component) or (is_part and component == "untrained"):
            continue
        if had.is_spread(component) or found[life.rank].quick.get(component, Fingerprint()).part:
            spread.add(component)
            own = merged_form([form_of(state, component) for state in found.values()])
            expected = list(had.merged_alternatives(component))
        else:
            own = form_of(found[life.rank], component)
            expected = list(had.alternatives(life.rank, component, is_resized=is_resized))
            if is_part and component in ("parameters", "optimizer"):
                own = msgspec.structs.replace(own, is_part=True)
                expected = [one for one in expected if one.names is not None]
        if any(one.equals(own) for one in expected):
            equal |= {component} if own.names or own.quick != Fingerprint() else set()
            is_passing |= component == "parameters" and had.has_left(life.rank, own)
        elif expected:
            names, held = _differing(own, expected), own.names or {}
            differing[component] = Difference(
                names=names,
                altered=_altered(held, expected[0].names or {}),
                is_lost=not held or (component == "optimizer" and bool(names) and held.keys().isdisjoint(names)),
                is_of_another=_is_of_another(life, component, own, found, had),
                is_plain=all(one.quick != own.quick for one in expected),
                way=_way(run, life, found[life.rank], had) if component == "parameters" else "changed",
            )
    return Start(
        life=life,
        moment=had.moment,
        path=had.path(life.rank),
        differing=differing,
        equal=frozenset(equal),
        spread=frozenset(spread),
        is_passing=is_passing,
    )


def _is_of_another(life: Life, component: str, own: Form, found: Mapping[int, State], had: HadStates) -> bool:
    others = {rank: form_of(state, component) for rank, state in found.items() if rank != life.rank}
    return any(
        form.equals(own) and any(form.equals(one) for one in had.alternatives(rank, component, is_resized=False))
        for rank, form in others.items()
    )


def _is_part(life: Life, state: State) -> bool:
    """Whether optimizers hold more parameters after a process's first step than before it: what none held was not known."""
    before, after = (forms.get("parameters") for forms in (state.quick, life.steps[0].record.components))
    return before is not None and after is not None and before.num_elements < after.num_elements


def _way(run: Run, life: Life, state: State, had: HadStates) -> Way:
    """How its parameters differ."""
    known = had.names("parameters")
    if known and known <= state.components.get("untrained", {}).keys() - had.names("untrained"):
        return "replaced"
    if known and not known.issuperset(state.components.get("parameters", {})):
        return "added"
    begun = start_state(next(other for other in run.lives if other.rank == life.rank))
    is_fresh = begun is not None and form_of(begun, "parameters").equals(form_of(state, "parameters"))
    return "fresh" if is_fresh else "changed"


def _is_captured(state: State, component: str) -> bool:
    """Whether the lines tell of it at all: a process without any batch has not been seen before its first forward pass."""
    match component:
        case "buffers":
            return "buffers" in state.quick
        case "unsaved":
            return component in state.components
        case "scaler" | "schedulers" | "random" | "gradients":
            return "random" in state.components
    return True


def _differing(own: Form, expected: Sequence[Form]) -> tuple[str, ...]:
    names = next((one.names for one in expected if one.names is not None), None)
    found = own.names or {}
    if names is None:
        return ()
    return tuple(name for name in {**names, **found} if names.get(name) != found.get(name))


def _altered(own: Mapping[str, Fingerprint], expected: Mapping[str, Fingerprint]) -> tuple[str, ...]:
    pairs = ((name, own[name], expected[name]) for name in expected if name in own)
    return tuple(name for name, one, other in pairs if one != other and one.num_elements == other.num_elements)
