"""What the uninterrupted runs save, as far as they agree."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain
from typing import TypeVar

import msgspec

from resumable.launch.evidence.rank_records import Figure
from resumable.launch.reading.lives import Run
from resumable.launch.reading.saves import Saved, series_of

Place = tuple[int, str, int]
"""Rank, path and step."""
_Part = tuple[int, str, str]
"""Rank, series of files, and key in them."""
_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value", bound=Hashable)


class ExpectedArtefacts(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """What the first of them saved, and where the others differ from it."""

    saves: Mapping[Place, Sequence[Saved]]
    """Finished saves that all of them made at the same steps, as the first did; without those of threads."""
    threaded: Mapping[tuple[int, str], Sequence[Saved]]
    """What threads of a rank save under a path, in order: at which step they come to it may be another one each time."""
    steps: Mapping[tuple[int, str], frozenset[int]]
    """At which steps a rank saves a file of a series, if that is the same in all of them."""
    known: frozenset[tuple[int, str]]
    """Ranks, and the paths under which they ever save."""
    varying: frozenset[_Part]
    """What is not the same twice, or may be so by accident: the time of day, for example. It excuses itself, and nothing
    beside it."""
    moving: frozenset[_Part]
    """What is not the same in all files of its series. A whole number that never moves may say something of the process that
    saves, how often it was restarted for example."""
    names: Mapping[str, frozenset[str]]
    """Under which names files are put in place, by that under which their writing begins."""

    def counterpart(self, rank: int, found: Saved, *, number: int = 0) -> Saved | None:
        """What a rank saves at this place; None if it saves nothing there.

        A thread may have been handed its state some steps before it writes: what it writes tells which. Of what is like
        none of its saves, the one that has most in common is set beside it, so that few keys are named.

        Args:
            rank: Who saved.
            found: What it saved.
            number: It is the save of this number under its path at its step, from 0; below 0: one more than there are.
        """
        if found.is_step_sure:
            there = self.saves.get((rank, found.name, found.own_step), ())
            return there[number] if 0 <= number < len(there) else None
        own = self._threaded_series.get(_series(found), ())
        moving = [key for key in found.digests if (*_series(found), key) in self.moving]
        scores = [sum(found.digests[key] == one.digests.get(key) for key in moving) for one in own]
        best = max(scores, default=0)
        return own[scores.index(best)] if best else None

    def telling_figures(self, wanted: Saved) -> Iterator[tuple[str, Figure]]:
        """The numbers in a save that training decides, and nothing else."""
        for path, figure in wanted.figures.items():
            part = (*_series(wanted), path)
            if (isinstance(figure, float) or part in self.moving) and part not in self.varying:
                yield path, figure

    def lasting_parts(self, wanted: Saved) -> list[str]:
        """Keys of a save whose content is the same each time."""
        return [key for key in wanted.digests if (*_series(wanted), key) not in self.varying]

    @property
    def scheduled(self) -> list[Place]:
        """Places at which there must be a save, in the order of steps."""
        known = ((rank, path, step) for rank, path, step in self.saves if (rank, series_of(path)) in self.steps)
        return sorted(known, key=lambda place: place[2])

    def leaves_alone(self, rank: int, path: str, step: int) -> bool:
        """Whether a rank saves files of this series, and none at this step."""
        return step not in self.steps.get((rank, series_of(path)), {step})

    def knows(self, rank: int, path: str) -> bool:
        """Whether a rank ever saves a file of this series."""
        return (rank, series_of(path)) in self._known_series

    @cached_property
    def _known_series(self) -> set[tuple[int, str]]:
        return {(rank, series_of(path)) for rank, path in self.known}

    @cached_property
    def _threaded_series(self) -> dict[tuple[int, str], list[Saved]]:
        return _grouped(chain.from_iterable(self.threaded.values()), _series)


def expected_artefacts(references: Sequence[Run], judged: Run, *, is_noisy: bool) -> ExpectedArtefacts:
    """What these runs agree on.

    Args:
        references: At least one.
        judged: Until its first restart it is one more: what it does then at a step of its own, or under a key in its own
            way, no restart is to blame for.
        is_noisy: Numbers do not repeat. One that does not move with each save may be the same in all runs by accident, as a
            scale is while nothing overflows.
    """
    first, *others = ([one for one in run.artefacts if one.is_finished] for run in references)
    begun = [one for one in judged.artefacts if not one.incarnation]
    common = set(_by_place(first)).intersection(*map(_by_place, others))
    saves = {place: own for place, own in _by_place(first).items() if place in common}
    agreed = _common(_nums_by_threads(first), map(_nums_by_threads, others))
    threaded = {own: saves for own, saves in _by_threads(first).items() if own in agreed}
    own_steps = _steps(one for one in begun if one.is_of_course)
    varying = frozenset(
        (*_series(one), key)
        for other in (*others, begun)
        for one, two in (*_pairs(saves, _by_place(other)), *_pairs(threaded, _by_threads(other)))
        for key in _differing(one, two)
    )
    whole = [*chain.from_iterable((*saves.values(), *threaded.values()))]
    return ExpectedArtefacts(
        saves=saves,
        threaded=threaded,
        steps={
            own: at
            for own, at in _common(_steps(first), map(_steps, others)).items()
            if own_steps.get(own, frozenset()) <= at
        },
        known=frozenset((one.rank, one.name) for run in references for one in run.artefacts),
        varying=varying | (_seldom_moving(whole) if is_noisy else frozenset()),
        moving=_moving(whole),
        names={
            name: frozenset(one.name for one in own)
            for name, own in _grouped(first, lambda one: one.first_name).items()
        },
    )


def _common(first: Mapping[_Key, _Value], others: Iterable[Mapping[_Key, _Value]]) -> dict[_Key, _Value]:
    """What is the same in all of them."""
    return dict(set(first.items()).intersection(*(other.items() for other in others)))


def _differing(one: Saved, other: Saved) -> Iterator[str]:
    """Keys of parts and of numbers under which the other one has something else."""
    for mine, yours in ((one.digests, other.digests), (one.figures, other.figures)):
        yield from (key for key, value in mine.items() if yours.get(key) != value)


def _pairs(
    mine: Mapping[_Key, Sequence[Saved]], yours: Mapping[_Key, Sequence[Saved]]
) -> Iterator[tuple[Saved, Saved]]:
    return chain.from_iterable(zip(own, yours.get(place, ()), strict=False) for place, own in mine.items())


def _moving(artefacts: Iterable[Saved]) -> frozenset[_Part]:
    first: dict[tuple[int, str], Saved] = {}
    pairs = ((one, first.setdefault(_series(one), one)) for one in artefacts)
    return frozenset((*_series(one), key) for one, earlier in pairs for key in _differing(one, earlier))


def _seldom_moving(artefacts: Iterable[Saved]) -> frozenset[_Part]:
    """Numbers that are the same in two successive saves of their series, or are saved once."""
    return frozenset(
        (*series, key)
        for series, own in _grouped(artefacts, _series).items()
        for one, other in zip(own, own[1:] or own, strict=False)
        for key, figure in other.figures.items()
        if figure == one.figures.get(key)
    )


def _by_place(artefacts: Iterable[Saved]) -> dict[Place, list[Saved]]:
    return _grouped((one for one in artefacts if one.is_step_sure), lambda one: (one.rank, one.name, one.own_step))


def _by_threads(artefacts: Iterable[Saved]) -> dict[tuple[int, str], list[Saved]]:
    return _grouped((one for one in artefacts if not one.is_step_sure), lambda one: (one.rank, one.name))


def _nums_by_threads(artefacts: Iterable[Saved]) -> dict[tuple[int, str], int]:
    return {own: len(saves) for own, saves in _by_threads(artefacts).items()}


def _steps(artefacts: Iterable[Saved]) -> dict[tuple[int, str], frozenset[int]]:
    steps: dict[tuple[int, str], set[int]] = {}
    for one in artefacts:
        if one.is_step_sure:
            steps.setdefault(_series(one), set()).add(one.own_step)
    return {own: frozenset(at) for own, at in steps.items()}


def _series(one: Saved) -> tuple[int, str]:
    return one.rank, series_of(one.name)


def _grouped(artefacts: Iterable[Saved], place: Callable[[Saved], _Key]) -> dict[_Key, list[Saved]]:
    groups: dict[_Key, list[Saved]] = {}
    for one in artefacts:
        groups.setdefault(place(one), []).append(one)
    return groups
