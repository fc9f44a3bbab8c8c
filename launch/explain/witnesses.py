"""What other runs of a step show: how its rank had done it before, and how it is done without a stop."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Literal

from resumable.launch.evidence.fingerprints import Fingerprint
from resumable.launch.evidence.rank_records import EpochBegin, Figure, State
from resumable.launch.reading.arbiter import first_left_out
from resumable.launch.reading.evidence import Evidence
from resumable.launch.reading.lives import Life, Run
from resumable.launch.reading.saves import Saved
from resumable.launch.reading.start_states import Beside, Start
from resumable.launch.reading.steps import Steps
from resumable.launch.reading.trained import TrainedStep


def was_meant(evidence: Evidence, start: Start, component: str) -> bool:
    """Whether a component that differs from the save is nevertheless what the job has at this step.

    A script may load weights and begin with a new optimizer, or make one in the middle of training: then it does so in
    its uninterrupted run too. And what makes no difference in the step that follows is no loss.
    """
    life = start.life
    witnesses = list(_same_step(evidence, life))
    if component == "gradients":  # a job may do the micro-batches of the window again instead
        return not witnesses or any(witness.keys == life.steps[0].keys for witness in witnesses)
    difference = start.differing[component]
    if component == "optimizer" and difference.is_lost and any(w.record.has_new_optimizer for w in witnesses):
        return True
    found = life.steps[0]
    if component == "buffers" and difference.is_of_another:  # as where one rank saves for all
        own = found.record.components.get(component)
        return not any(w.losses == found.losses and w.record.components.get(component) != own for w in witnesses)
    is_visible = difference.is_plain and bool(found.record.components)
    return is_visible and any(
        (found.record.components, found.losses) == (w.record.components, w.losses) for w in witnesses
    )


Fate = Literal["back", "lost", "unknown"]


def fate_of(evidence: Evidence, start: Start, component: Beside | Literal["random"], name: str) -> Fate:
    """What became of something in a process that began with it differently than it was at the save.

    Forward passes may make it anew, as they do with a cache: what a process has at its first save tells, if all references
    have the same there; and of a process that left nothing, nothing is left. It is lost if they had the same at the save
    before, too, and this run with them: what follows from numbers that never repeat is never the same twice.
    """
    life = start.life
    saved = _of_rank(evidence.faulted, life.rank)
    later = [one for one in saved if one.incarnation == life.incarnation and one.step > life.common_step]
    if not later:
        return "unknown" if life.num_kept else "back"
    own, step = _held(later[:1], component, name), later[0].step
    expected = _in_references(evidence, life.rank, step, component, name)
    if len(expected) == 1 and own == expected:
        return "back"
    before = [one for one in saved if one.moment == start.moment]
    had = _held(before, component, name) | _in_references(evidence, life.rank, start.moment[1], component, name)
    is_exact = len(had) == 1 and len(expected) == 1 and None not in had | expected | own
    return "lost" if is_exact else "unknown"


def strayed_generators(evidence: Evidence, start: Start) -> tuple[str, ...]:
    """Random generators from which steps draw, and which went on elsewhere than at the save.

    A job may set them before each step: at the first save of the process they are not where the references have them, as
    they were at the save before. On a different number of ranks, or with a step left out, as much is not drawn.
    """
    if "random" not in start.differing or evidence.is_resized or first_left_out(evidence) is not None:
        return ()
    drawn = {name for run in evidence.references for name in _drawn_in_steps(run, start.life.rank)}
    names = [name for name in start.differing["random"].altered if name in drawn]
    return tuple(name for name in names if fate_of(evidence, start, "random", name) == "lost")


def _drawn_in_steps(run: Run, rank: int) -> Iterator[str]:
    """Generators that moved from one record of them to the next, with no pass over a loader begun, which draws its seed."""
    held: Mapping[str, Fingerprint] = {}
    for life in run.lives:
        for event in life.process.events if life.rank == rank else ():
            if isinstance(event, EpochBegin):
                held = {}
            elif isinstance(event, State):
                earlier, held = held, event.components.get("random", {})
                yield from (name for name in earlier.keys() & held.keys() if earlier[name] != held[name])


def _in_references(evidence: Evidence, rank: int, step: int, component: str, name: str) -> set[Fingerprint | None]:
    """What the references had at a save, or at all of theirs where none is at that step; None where one had nothing."""
    found: set[Fingerprint | None] = set()
    for run in evidence.references:
        saved = _of_rank(run, rank)
        found |= _held([one for one in saved if one.step == step] or saved, component, name) or {None}
    return found


def _of_rank(run: Run, rank: int) -> list[Saved]:
    """What a rank saved of which it is known what it had; where one saves for all, that one's."""
    saved = [one for one in run.saved if one.state is not None]
    return [one for one in saved if one.rank == rank] or saved


def _held(saved: Iterable[Saved], component: str, name: str) -> set[Fingerprint | None]:
    return {one.state.components.get(component, {}).get(name) for one in saved if one.state is not None}


FROZEN = "frozen"
"""Of an optimizer's settings, the names of parameters that get no gradient, in any order."""
SAME_RATE = 1e-6
"""Relative: a rate that is computed from the step may be rounded differently from one that is multiplied step by step.

A restored scheduler may change from the one way to the other. It is a few units in the last place of single precision, in
which most updates are made: what is closer makes no different update that anybody could see.
"""


def had_left(evidence: Evidence, life: Life, setting: str, optimizer: str | None = None) -> bool:
    """Whether a setting was different from the references' already when the run saved what a process went on from.

    Args:
        evidence: All that is known.
        life: The process.
        setting: Which.
        optimizer: Its first parameter; None: of any.
    """
    moments = {start.moment for start in evidence.starts if start.life.incarnation == life.incarnation}
    saved = [one for one in evidence.faulted.saved if one.moment in moments]
    steps = {step for _, step in moments}
    expected = [one for run in evidence.references for one in run.saved if one.step in steps]
    return any(
        not are_same(setting, own[name], other[name])
        for own, other in product(_set_to(saved, setting), _set_to(expected, setting))
        for name in own.keys() & other.keys()
        if optimizer in (None, name)
    )


def _set_to(saved: Iterable[Saved], setting: str) -> list[dict[str, Sequence[Figure]]]:
    """At each save, by optimizer."""
    states = [one.state for one in saved if one.state is not None]
    return [{name: own[setting] for name, own in state.settings.items() if setting in own} for state in states]


def are_same(setting: str, one: Sequence[Figure], other: Sequence[Figure]) -> bool:
    """Whether a setting has the same value in each group of an optimizer."""
    if setting == FROZEN:
        return set(one) == set(other)
    return len(one) == len(other) and all(map(_is_same, one, other))


def _is_same(one: Figure, other: Figure) -> bool:
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    return math.isclose(one, other, rel_tol=SAME_RATE)


def witnesses_of(evidence: Evidence, life: Life) -> Iterator[tuple[int, Steps]]:
    """Steps of this rank in earlier processes, but for the first after each start, and in the references.

    Each with the number of the first, since training began.
    """
    for other in evidence.faulted.lives:
        if other.rank == life.rank and other.incarnation < life.incarnation:
            yield other.first_step + 1, other.steps[1:]
    for reference in evidence.references:
        timeline = reference.timeline(life.rank)
        if timeline is not None:
            yield 0, timeline.steps


def first_different_batches(evidence: Evidence, life: Life) -> int | None:
    """The first step, since training began, in which a process trained on different batches than it should have."""
    expected = evidence.wanted(life)[: len(life.steps)]
    number = life.steps[: len(expected)].first_difference(expected, "keys")
    return None if number is None else life.first_step + number


def _same_step(evidence: Evidence, life: Life) -> Iterator[TrainedStep]:
    """The step that a process did first, as its rank had done it before, and as it is done in the references."""
    for first, steps in witnesses_of(evidence, life):
        if first <= life.first_step < first + len(steps):
            yield steps[life.first_step - first]
