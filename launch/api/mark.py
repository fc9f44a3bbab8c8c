"""The points that a mark `resume` asks for: each is a test of its own, named after its faults."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from resumable.launch.errors import UsageError
from resumable.launch.plan.fault_kinds import FaultKind
from resumable.launch.plan.fault_model import FaultRequest, Point, When
from resumable.launch.plan.sweep_words import EACH, Moments, SweepWords, parse_at, parse_kinds, parse_ranks, rank_groups

SWEPT = ("at", "ranks", "kinds", "steps")
"""Options of the mark that say where the job is hit; all others are the launcher's."""
_NUM_QUICK = 3
_UNSELECTABLE = re.compile(r"[^\w.+]+")
"""What pytest's `-k` cannot read in a name, or a shell takes for its own."""


class MarkedPoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where one test hits its job: by faults, or at all points of a sweep whose number only the job itself can show."""

    name: str
    faults: tuple[FaultRequest, ...] = ()
    sweep: SweepWords | None = None
    """The sweep in the words of `Launcher.sweep`; None: the faults say it."""
    steps: int | None = None
    """Optimizer steps that the job must have, or else other points than these were meant; None: any number."""

    @property
    def test_id(self) -> str:
        """The name in words that `-k` can choose: `sigkill-step20-rank0`."""
        return _UNSELECTABLE.sub("-", re.sub("[=#]", "", self.name))


def marked_points(mark: Mapping[str, object]) -> list[MarkedPoint]:
    """The points of a mark's options, in the order of moments and ranks, kind by kind; none if it names no moment.

    Args:
        mark: `at`: moments, in the words of `--at`, a number or a list of them. `ranks` and `kinds`: as in `--ranks` and
            `--kinds`, or lists. `steps`: optimizer steps of the job; without it all points of `every:N` are one test.

    Raises:
        UsageError: the options name no points.
    """
    if "at" not in mark:
        for name in SWEPT:
            if name in mark:
                raise UsageError(f"{name}={mark[name]!r}: expected at= beside it, the moments at which the job is hit")
        return []
    words = {
        "at": _words(mark["at"]),
        "ranks": _words(mark.get("ranks", EACH)),
        "kinds": _words(mark.get("kinds", "sigkill")),
    }
    steps = mark.get("steps")
    if steps is not None and (not isinstance(steps, int) or steps < 1):
        raise UsageError(f"steps={steps!r}: expected the number of the job's optimizer steps, such as steps=64")
    nproc_per_node, nnodes = mark.get("nproc_per_node", 2), mark.get("nnodes") or 1
    moments = parse_at(words["at"])
    whens = _moments(moments, steps)
    if not whens or not isinstance(nproc_per_node, int) or not isinstance(nnodes, int):
        parse_kinds(words["kinds"])
        return [
            MarkedPoint(name=words["at"], sweep=SweepWords(at=words["at"], ranks=words["ranks"], kinds=words["kinds"]))
        ]
    points = _points(whens, words, world_size=nproc_per_node * nnodes, steps=steps)
    return [msgspec.structs.replace(point, steps=steps if moments.every is not None else None) for point in points]


def quick(points: Sequence[MarkedPoint]) -> list[MarkedPoint]:
    """The first, the middle and the last of the points."""
    if len(points) <= _NUM_QUICK:
        return list(points)
    return [points[0], points[len(points) // 2], points[-1]]


def _words(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _moments(moments: Moments, steps: int | None) -> Sequence[When]:
    if moments.every is None:
        return moments.listed
    return [When(Point.STEP, (step,)) for step in range(0, steps or 0, moments.every)]


def _points(
    whens: Sequence[When], words: Mapping[str, str], *, world_size: int, steps: int | None
) -> Iterator[MarkedPoint]:
    ranks = parse_ranks(words["ranks"], world_size=world_size)
    draw = random.Random("ranks/0")
    for kind in parse_kinds(words["kinds"]):
        for when in whens:
            for _, group in rank_groups(ranks, range(world_size), draw):
                who = "+".join(map(str, group))
                faults = [kind.at(when, rank=rank) for rank in group]
                yield MarkedPoint(
                    name=f"{kind.word}@{when}:rank={who}", faults=(*_first_fault(when, group[0], steps), *faults)
                )


def _first_fault(when: When, rank: int, steps: int | None) -> Iterator[FaultRequest]:
    """A moment after a restart needs one: the rank is killed half way."""
    if not when.is_after_a_restart:
        return
    if steps is None:
        raise UsageError(f"at={when}: expected steps= beside it, so that the job can be killed half way first")
    yield FaultRequest(kind=FaultKind.SIGKILL, when=When(Point.STEP, (steps // 2,)), who=rank)
