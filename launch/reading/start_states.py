"""What each process went on from, and what this run had at the save that its group read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from resumable.launch.evidence.fingerprints import Fingerprint, merged
from resumable.launch.evidence.rank_records import State
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


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """What one process had before its first step, beside what this run had at a save."""

    life: Life
    moment: Moment
    """Of the save."""
    path: str
    """Of the save, for people; "" where it has none."""
    differing: Mapping[str, tuple[str, ...]]
    """Components that are different, and the names in them that are; () where only the whole of it is known."""
    equal: frozenset[str]
    """Components that are the same; those of which there is nothing are left out."""
    lost: frozenset[str]
    """Of those that are different, the ones of which the process has nothing."""
    plain: frozenset[str]
    """Of those that are different, the ones whose quick form is, too."""
    spread: frozenset[str]
    """Components of which each rank of the group has a part: what is said of them is said of all ranks together."""
    altered: Mapping[str, tuple[str, ...]]
    """By component, what is different though there was something of this name and size at the save, too: a model that is
    made for a validation may be there at one of both alone, and a cache grows."""
    way: Way
    """Of the parameters, if those are different."""
    passing: frozenset[str]
    """Of those that are the same, the ones that the job had only while it saved: after the step they were different."""


def starts_of(run: Run) -> tuple[Start, ...]:
    """What the resumed processes of a run started from, as far as it was recorded and the save is known."""
    starts: list[Start] = []
    for incarnation in run.history.incarnations:
        group = [life for life in run.resumed if life.incarnation == incarnation and life.first_step]
        starts.extend(_starts(run, group, run.saved_before(incarnation)))
    return tuple(starts)


def start_state(life: Life) -> State | None:
    """What a process had before its first step."""
    if not life.steps:
        return None
    events = [event for event in life.process.events if life.trajectory.precedes_training(event)]
    states = [event for event in events if isinstance(event, State) and event.moment == "start"]
    return states[-1] if states else None


def _starts(run: Run, group: Sequence[Life], saved: Sequence[Saved]) -> list[Start]:
    """Of one group, beside the save of those that it may have read with which most of it agrees."""
    found = {life.rank: state for life in group if (state := start_state(life)) is not None}
    if not found:
        return []
    read = saves_read([life.trajectory for life in group], saved)
    moments = {moment for one in read for moment in _moments(one, group)} or _by_parameters(run, group)
    judged = [
        [_start(run, life, found, _Had(run, moment, saved)) for life in group if _is_at(run, life, moment, found)]
        for moment in sorted(moments)
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


class _Had:
    """What the ranks of a group had at one moment."""

    def __init__(self, run: Run, moment: Moment, saved: Iterable[Saved]) -> None:
        self.moment = moment
        incarnation, step = moment
        self.lives = [life for life in run.group(incarnation) if life.steps]
        at_moment = [one for one in saved if one.content and one.moment == moment]
        self.states = {one.rank: one.state for one in at_moment if one.state is not None}
        self.path = next((one.path for one in at_moment if one.path), "")
        found = ((life.rank, _quick_after(run, life, step)) for life in self.lives)
        self.quick = {rank: forms for rank, forms in found if forms is not None}

    def alternatives(self, rank: int, component: str, *, is_resized: bool) -> Iterator[_Form]:
        """What a rank may have had; several, as a job may change its state between a step and a save.

        Where it saved nothing itself it had what a rank had that did, if both had the same after the step.
        """
        savers = [saver for saver in self.states if self._is_alike(component, rank, saver, is_resized=is_resized)]
        has_changed = False
        for saver in savers:
            form = _of_state(self.states[saver], component)
            has_changed |= form.quick != self.quick.get(saver, {}).get(component, form.quick)
            yield form
        if (has_changed or not savers) and not is_resized and rank in self.quick and component in _IN_STEPS:
            yield _Form(quick=self.quick[rank].get(component, Fingerprint()))

    def merged_alternatives(self, component: str) -> Iterator[_Form]:
        """What all ranks together had of what is spread over them."""
        ranks = {life.rank for life in self.lives}
        if ranks == self.states.keys():
            yield _merged([_of_state(state, component) for state in self.states.values()])
        if ranks == self.quick.keys() and component in _IN_STEPS:
            yield _merged([_Form(quick=forms.get(component, Fingerprint())) for forms in self.quick.values()])

    def is_spread(self, component: str) -> bool:
        """Whether ranks hold shards of it."""
        return any(forms.get(component, Fingerprint()).part for forms in self.quick.values())

    def names(self, component: str) -> frozenset[str]:
        """What there was of a component in any rank that saved."""
        return frozenset(name for state in self.states.values() for name in state.components.get(component, {}))

    def has_left(self, rank: int, component: str, own: _Form) -> bool:
        """Whether a rank had something else after the step that the save follows."""
        quick = self.quick.get(rank, {}).get(component)
        return component in _IN_STEPS and quick is not None and quick != own.quick

    def _is_alike(self, component: str, rank: int, saver: int, *, is_resized: bool) -> bool:
        """Whether a rank had what the saver had; on a different number of ranks, whether all ranks had the same."""
        if not is_resized and rank == saver:
            return True
        if component not in _IN_STEPS:
            return is_resized
        ranks = [life.rank for life in self.lives] if is_resized else [rank, saver]
        forms = [None if one not in self.quick else self.quick[one].get(component, Fingerprint()) for one in ranks]
        return all(form is not None and form == forms[0] for form in forms)


_IN_STEPS = frozenset({"parameters", "optimizer", "buffers"})


class _Form(msgspec.Struct, frozen=True, kw_only=True):
    """Fingerprints of a component: by name and of every element, or of all of it in the quick form, or both."""

    names: dict[str, Fingerprint] | None = None
    quick: Fingerprint | None = None

    def equals(self, other: _Form) -> bool:
        if self.names is not None and other.names is not None:
            return self.names == other.names
        return self.quick is not None and self.quick == other.quick


def _of_state(state: State, component: str) -> _Form:
    return _Form(names=state.components.get(component, {}), quick=state.quick.get(component, Fingerprint()))


def _quick_after(run: Run, life: Life, step: int) -> dict[str, Fingerprint] | None:
    """What a process had after so many common steps; None if that was not recorded, or others stepped on meanwhile."""
    own = run.lockstep.own(life.rank, step)
    number = own - life.first_step
    if step not in {life.common_step if number == 0 else None, run.lockstep.common(life.rank, own).start}:
        return None
    if number == 0:
        start = start_state(life)
        return None if start is None else dict(start.quick)
    if not 0 < number <= len(life.steps):
        return None
    return life.steps[number - 1].record.components or None


def _start(run: Run, life: Life, found: Mapping[int, State], had: _Had) -> Start:
    is_resized = run.history.world_size(life.incarnation) != run.history.world_size(had.moment[0])
    differing: dict[str, tuple[str, ...]] = {}
    lost: set[str] = set()
    plain: set[str] = set()
    equal: set[str] = set()
    spread: set[str] = set()
    way: Way = "changed"
    passing: set[str] = set()
    altered: dict[str, tuple[str, ...]] = {}
    for component in (*MUST_BE_RESTORED, *_TOLD):
        if not _is_captured(found[life.rank], component):
            continue
        if had.is_spread(component) or found[life.rank].quick.get(component, Fingerprint()).part:
            spread.add(component)
            own = _merged([_of_state(state, component) for state in found.values()])
            expected = list(had.merged_alternatives(component))
        else:
            own = _of_state(found[life.rank], component)
            expected = list(had.alternatives(life.rank, component, is_resized=is_resized))
        if any(one.equals(own) for one in expected):
            equal |= {component} if own.names or own.quick != Fingerprint() else set()
            passing |= {component} if not is_resized and had.has_left(life.rank, component, own) else set()
        elif expected:
            differing[component] = _differing(own, expected)
            lost |= {component} if not own.names else set()
            plain |= {component} if all(one.quick != own.quick for one in expected) else set()
            way = _way(run, life, found[life.rank], had) if component == "parameters" else way
            altered[component] = _altered(own.names or {}, expected[0].names or {})
    return Start(
        life=life,
        moment=had.moment,
        path=had.path,
        differing=differing,
        equal=frozenset(equal),
        lost=frozenset(lost),
        plain=frozenset(plain),
        spread=frozenset(spread),
        altered=altered,
        way=way,
        passing=frozenset(passing),
    )


def _way(run: Run, life: Life, state: State, had: _Had) -> Way:
    """How its parameters differ."""
    known = had.names("parameters")
    if known and known <= state.components.get("untrained", {}).keys() - had.names("untrained"):
        return "replaced"
    if known and not known.issuperset(state.components.get("parameters", {})):
        return "added"
    begun = start_state(next(other for other in run.lives if other.rank == life.rank))
    is_fresh = begun is not None and _of_state(begun, "parameters").equals(_of_state(state, "parameters"))
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


def _differing(own: _Form, expected: Sequence[_Form]) -> tuple[str, ...]:
    names = next((one.names for one in expected if one.names is not None), None)
    found = own.names or {}
    if names is None:
        return ()
    return tuple(name for name in {**names, **found} if names.get(name) != found.get(name))


def _altered(own: Mapping[str, Fingerprint], expected: Mapping[str, Fingerprint]) -> tuple[str, ...]:
    pairs = ((name, own[name], expected[name]) for name in expected if name in own)
    return tuple(name for name, one, other in pairs if one != other and one.num_elements == other.num_elements)


def _merged(forms: Sequence[_Form]) -> _Form:
    """Of all ranks; the first one's of what each holds whole."""
    quick = [form.quick or Fingerprint() for form in forms]
    names = [form.names or {} for form in forms]
    keys = {key: None for own in names for key in own}
    empty = Fingerprint()
    return _Form(
        names={key: merged(names[0].get(key, empty), [own.get(key, empty) for own in names[1:]]) for key in keys}
        if all(form.names is not None for form in forms)
        else None,
        quick=merged(quick[0], quick[1:]),
    )
