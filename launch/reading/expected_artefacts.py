"""What the uninterrupted runs save, as far as they agree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, pairwise

import msgspec

from resumable.launch.evidence.rank_records import Figure
from resumable.launch.reading.lives import Run
from resumable.launch.reading.saves import Saved, series_of

Place = tuple[int, str, int]
"""Rank, path and step."""


class ExpectedArtefacts(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """What the first of them saved, and where the others differ from it."""

    saves: Mapping[Place, Sequence[Saved]]
    """Finished saves that all of them made, as the first did; without those of threads."""
    threaded: Mapping[tuple[int, str], Sequence[Saved]]
    """What threads of a rank save under a path, in order: at which step they come to it may be another one each time."""
    steps: Mapping[tuple[int, str], frozenset[int]]
    """At which steps a rank saves under a path, if that is the same in all of them."""
    varying: frozenset[tuple[str, str]]
    """Path and key of what is not the same twice, or may be so by accident: the time of day, for example. It excuses itself,
    and nothing beside it."""
    moving: frozenset[tuple[str, str]]
    """Series of files, and key path of what is not the same in all files of it. A whole number that never moves may say
    something of the process that saves, how often it was restarted for example."""
    names: Mapping[str, frozenset[str]]
    """Under which names files are put in place, by that under which their writing begins."""

    def counterpart(self, rank: int, found: Saved, *, number: int) -> Saved | None:
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
        own = self.threaded.get((rank, found.name), ())
        changing = {key for one in own for key in one.digests if len({other.digests.get(key) for other in own}) > 1}
        scores = [sum(found.digests.get(key) == one.digests.get(key) for key in changing) for one in own]
        best = max(scores, default=0)
        return own[scores.index(best)] if best else None

    def telling_figures(self, wanted: Saved) -> Iterator[tuple[str, Figure]]:
        """The numbers in a save that training decides, and nothing else."""
        for path, figure in wanted.figures.items():
            is_telling = isinstance(figure, float) or (series_of(wanted.name), path) in self.moving
            if is_telling and (wanted.name, path) not in self.varying:
                yield path, figure

    @property
    def scheduled(self) -> list[Place]:
        """Places at which there must be a save, in the order of steps."""
        return sorted(self.saves, key=lambda place: (place[2], place[0], place[1]))

    def knows(self, rank: int, path: str) -> bool:
        """Whether a rank ever saves under this path."""
        return (rank, path) in self.steps or (rank, path) in self.threaded

    def leaves_alone(self, rank: int, path: str, step: int) -> bool:
        """Whether a rank saves under this path, and not at this step."""
        return (rank, path) in self.steps and step not in self.steps[rank, path]

    def steps_of(self, rank: int) -> frozenset[int]:
        """At which steps a rank saves anything."""
        return frozenset().union(*(steps for (own, _), steps in self.steps.items() if own == rank))

    def is_final(self, rank: int, path: str) -> bool:
        """Whether a rank saves under this path once, at the very end, and nothing like it before: it is no checkpoint."""
        last = max((step for steps in self.steps.values() for step in steps), default=0)
        if self.steps.get((rank, path)) != frozenset({last}):
            return False
        keys = self.saves[rank, path, last][0].digests.keys()
        return all(
            one.digests.keys() != keys
            for (own, _, step), saves in self.saves.items()
            if own == rank and step < last
            for one in saves
        )


def expected_artefacts(references: Sequence[Run], begun: Run | None = None) -> ExpectedArtefacts:
    """What these runs agree on.

    Args:
        references: At least one.
        begun: Where numbers do not repeat, the run that is judged: until it was disturbed it is one more. Then a number that
            does not move with each save may be the same in all of them by accident, as a scale is while nothing overflows.
    """
    first, *others = (_by_place(run.artefacts) for run in references)
    steps = _steps(first)
    agreed = {own for own, at in steps.items() if all(_steps(other).get(own) == at for other in others)}
    saves = {place: saves for place, saves in first.items() if place[:2] in agreed}
    threads, *other_threads = (_by_threads(run.artefacts) for run in references)
    threaded = {
        own: saves
        for own, saves in threads.items()
        if all(len(other.get(own, ())) == len(saves) for other in other_threads)
    }
    pairs = [pair for place, own in saves.items() for other in others for pair in zip(own, other[place], strict=False)]
    pairs += [
        pair
        for own, saves in threaded.items()
        for other in other_threads
        for pair in zip(saves, other[own], strict=True)
    ]
    if begun is not None:
        undisturbed = [one for one in begun.artefacts if one.incarnation == begun.history.incarnations[0]]
        early, early_threaded = _by_place(undisturbed), _by_threads(undisturbed)
        pairs += [pair for place in saves for pair in zip(saves[place], early.get(place, ()), strict=False)]
        pairs += [pair for own in threaded for pair in zip(threaded[own], early_threaded.get(own, ()), strict=False)]
    return ExpectedArtefacts(
        saves=saves,
        threaded=threaded,
        steps={own: steps[own] for own in agreed},
        varying=frozenset(
            (one.name, key)
            for one, two in pairs
            for mine, yours in ((one.digests, two.digests), (one.figures, two.figures))
            for key in mine.keys() | yours.keys()
            if mine.get(key) != yours.get(key)
        )
        | (frozenset() if begun is None else _seldom_moving(saves, threaded)),
        moving=_moving(one for own in (*saves.values(), *threaded.values()) for one in own),
        names=_names(one for own in first.values() for one in own),
    )


def _moving(artefacts: Iterable[Saved]) -> frozenset[tuple[str, str]]:
    first: dict[str, Mapping[str, Figure]] = {}
    moving: set[tuple[str, str]] = set()
    for one in artefacts:
        series = series_of(one.name)
        earlier = first.setdefault(series, one.figures)
        paths = earlier.keys() | one.figures.keys()
        moving.update((series, path) for path in paths if earlier.get(path) != one.figures.get(path))
    return frozenset(moving)


def _seldom_moving(
    saves: Mapping[Place, Sequence[Saved]], threaded: Mapping[tuple[int, str], Sequence[Saved]]
) -> frozenset[tuple[str, str]]:
    """Name, and key path of what is the same in two successive saves of a series, or is saved once."""
    in_order = [own for _, own in sorted(saves.items(), key=lambda pair: pair[0][2])]
    series: dict[tuple[int, str], list[Saved]] = {}
    for one in chain.from_iterable([*in_order, *threaded.values()]):
        series.setdefault((one.rank, series_of(one.name)), []).append(one)
    return frozenset(
        (one.name, key)
        for own in series.values()
        for one, other in pairwise(own if own[1:] else own * 2)
        for key, figure in other.figures.items()
        if figure == one.figures.get(key)
    )


def _names(artefacts: Iterable[Saved]) -> dict[str, frozenset[str]]:
    names: dict[str, set[str]] = {}
    for one in artefacts:
        names.setdefault(one.first_name, set()).add(one.name)
    return {first: frozenset(own) for first, own in names.items()}


def _by_place(artefacts: Iterable[Saved]) -> dict[Place, list[Saved]]:
    places: dict[Place, list[Saved]] = {}
    for one in artefacts:
        if one.is_finished and one.is_step_sure:
            places.setdefault((one.rank, one.name, one.own_step), []).append(one)
    return places


def _by_threads(artefacts: Iterable[Saved]) -> dict[tuple[int, str], list[Saved]]:
    threaded: dict[tuple[int, str], list[Saved]] = {}
    for one in artefacts:
        if one.is_finished and not one.is_step_sure:
            threaded.setdefault((one.rank, one.name), []).append(one)
    return threaded


def _steps(places: Mapping[Place, object]) -> dict[tuple[int, str], frozenset[int]]:
    steps: dict[tuple[int, str], set[int]] = {}
    for rank, path, step in places:
        steps.setdefault((rank, path), set()).add(step)
    return {own: frozenset(at) for own, at in steps.items()}
