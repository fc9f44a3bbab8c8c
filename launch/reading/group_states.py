"""What the ranks of a group had, at a save or before their first step, in forms that can be compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from resumable.launch.evidence.fingerprints import Fingerprint, merged
from resumable.launch.evidence.rank_records import State
from resumable.launch.reading.lives import Life, Run
from resumable.launch.reading.saves import Moment, Saved

_IN_STEPS = frozenset({"parameters", "optimizer", "buffers"})


def start_state(life: Life) -> State | None:
    """What a process had before its first step."""
    if not life.steps:
        return None
    events = [event for event in life.process.events if life.trajectory.precedes_training(event)]
    states = [event for event in events if isinstance(event, State) and event.moment == "start"]
    states = [event for event in states if event.sequence >= life.trajectory.begin]
    return states[-1] if states else None


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """Fingerprints of a component: by name and of every element, or of all of it in the quick form, or both."""

    names: dict[str, Fingerprint] | None = None
    quick: Fingerprint | None = None
    is_part: bool = False
    """There is more of it: optimizers that the first step made, in whatever order, hold the rest, which nobody has seen."""

    def equals(self, other: Form) -> bool:
        """Whether both are of the same state, as far as both tell."""
        if self.names is not None and other.names is not None:
            if other.is_part and other.names:
                return Counter(other.names.values()) <= Counter(self.names.values())
            return self.names == other.names
        return self.quick is not None and self.quick == other.quick


def form_of(state: State, component: str) -> Form:
    """Of a component of one process."""
    return Form(names=state.components.get(component, {}), quick=state.quick.get(component, Fingerprint()))


def merged_form(forms: Sequence[Form]) -> Form:
    """Of all ranks; the first one's of what each holds whole."""
    quick = [form.quick or Fingerprint() for form in forms]
    names = [form.names or {} for form in forms]
    keys = {key: None for own in names for key in own}
    empty = Fingerprint()
    return Form(
        names={key: merged(names[0].get(key, empty), [own.get(key, empty) for own in names[1:]]) for key in keys}
        if all(form.names is not None for form in forms)
        else None,
        quick=merged(quick[0], quick[1:]),
    )


class HadStates:
    """What the ranks of a group had at one moment."""

    def __init__(self, run: Run, moment: Moment, saved: Iterable[Saved]) -> None:
        self.moment = moment
        incarnation, step = moment
        self.lives = [life for life in run.group(incarnation) if life.steps]
        at_moment = [one for one in saved if one.content and one.moment == moment]
        self.states = {one.rank: one.state for one in at_moment if one.state is not None}
        self._paths = {one.rank: one.path for one in reversed(at_moment) if one.path}
        found = ((life.rank, _quick_after(run, life, step)) for life in self.lives)
        self.quick = {rank: forms for rank, forms in found if forms is not None}
        self._went_on = any(self._goes_on(run, life) for life in self.lives)

    def path(self, rank: int) -> str:
        """Of what a rank saved, or else of what another one did; "" if no file holds it."""
        return self._paths.get(rank) or next(iter(self._paths.values()), "")

    def alternatives(self, rank: int, component: str, *, is_resized: bool) -> Iterator[Form]:
        """What a rank may have had; several, as a job may change its state between a step and a save.

        Where it saved nothing itself it had what a rank had that did, if both had the same after the step.
        """
        savers = [saver for saver in self.states if self._is_alike(component, rank, saver, is_resized=is_resized)]
        has_changed = False
        for saver in savers:
            form = form_of(self.states[saver], component)
            has_changed |= form.quick != self.quick.get(saver, {}).get(component, form.quick)
            yield form
        if (has_changed or not savers) and not is_resized and rank in self.quick and component in _IN_STEPS:
            yield Form(quick=self.quick[rank].get(component, Fingerprint()))

    def merged_alternatives(self, component: str) -> Iterator[Form]:
        """What all ranks together had of what is spread over them."""
        ranks = {life.rank for life in self.lives}
        if ranks == self.states.keys():
            yield merged_form([form_of(state, component) for state in self.states.values()])
        after = self._merged_after(component)
        if after is not None:
            yield Form(quick=after)

    def is_spread(self, component: str) -> bool:
        """Whether ranks hold shards of it."""
        return any(forms.get(component, Fingerprint()).part for forms in self.quick.values())

    def names(self, component: str) -> frozenset[str]:
        """What there was of a component in any rank that saved."""
        return frozenset(name for state in self.states.values() for name in state.components.get(component, {}))

    def has_left(self, rank: int, own: Form) -> bool:
        """Whether it had different parameters after the step that the save follows, and went on from others than the saved.

        Of what is spread that is said of all ranks together.
        """
        is_spread = self.is_spread("parameters")
        quick = self._merged_after("parameters") if is_spread else self.quick.get(rank, {}).get("parameters")
        return not self._went_on and not own.is_part and quick is not None and quick != own.quick

    def _goes_on(self, run: Run, life: Life) -> bool:
        """Whether the next step of a rank that saved began with the parameters that it had when it did."""
        number, state = run.lockstep.own(life.rank, self.moment[1]) - life.first_step, self.states.get(life.rank)
        quick = None if state is None else state.quick.get("parameters")
        if quick is None or not 0 <= number < len(life.steps):
            return False
        return life.steps[number].record.before == quick.whole + quick.part

    def _merged_after(self, component: str) -> Fingerprint | None:
        if not self.lives or len(self.quick) < len(self.lives):
            return None
        return merged_form([Form(quick=forms.get(component)) for forms in self.quick.values()]).quick

    def _is_alike(self, component: str, rank: int, saver: int, *, is_resized: bool) -> bool:
        """Whether a rank had what the saver had; on a different number of ranks, whether all ranks had the same."""
        if not is_resized and rank == saver:
            return True
        if component not in _IN_STEPS:
            return is_resized
        ranks = [life.rank for life in self.lives] if is_resized else [rank, saver]
        forms = [None if one not in self.quick else self.quick[one].get(component, Fingerprint()) for one in ranks]
        return all(form is not None and form == forms[0] for form in forms)


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
