"""What a timeline draws of one run: a lane for each process, compact enough for a hundred thousand batches.

What follows one another is kept as its beginning and a length; times are differences, in microseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, groupby

import msgspec

from resumable.launch.judge.results import Span, spans_of
from resumable.launch.reading.failures import ending
from resumable.launch.reading.handovers import Handovers, handovers_of
from resumable.launch.reading.lives import Life, Run
from resumable.launch.reading.trained import TrainedBatch, TrainedStep
from resumable.launch.report.clocks import Clocks
from resumable.launch.system.text_safety import printable

Losses = float | None | tuple[float | None, ...]
"""Of a step with one backward pass, or of each of them."""


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """Something at one moment of a process."""

    kind: str
    """`save`, `load`, `fault` or `hang`."""
    step: int
    """Steps since training began that were done then."""
    at_us: int
    text: str


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """From a save to the load that took it, each as (lane, mark)."""

    save: tuple[int, int]
    load: tuple[int, int]


class Lane(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One process."""

    rank: int
    incarnation: int
    node: int = 0
    pid: int = 0
    world_size: int = 0
    first_step: int = 0
    """Steps that its first one builds on."""
    num_steps: int = 0
    num_kept: int = 0
    """Steps that no later restart threw away."""
    num_replayed: int = 0
    """Steps, from its first on, that had been done before."""
    end: str
    """As of a span: `fault`, `finished` or `ended`."""
    how: str
    """The end in words."""
    begin_us: int = 0
    """Since the run began on its machine."""
    end_us: int = 0
    numbers: tuple[tuple[int, int], ...] = ()
    """Of its batches: a number in the page's samples, and how many follow with the next numbers; itself counted."""
    places: tuple[tuple[int, int, int], ...] = ()
    """Epoch, batch of the epoch, and how many follow in this epoch."""
    sizes: tuple[tuple[int, int], ...] = ()
    """Batches of a step, and how many steps have as many."""
    num_unfinished: int = 0
    """Batches at the end that had a backward pass and no step."""
    num_waiting: int = 0
    """Batches after these that had none."""
    received_us: tuple[int, ...] = ()
    """When each batch was received, since the one before."""
    done_us: tuple[int, ...] = ()
    """When each step was done, since the one before."""
    losses: tuple[Losses, ...] = ()
    strays: tuple[tuple[int, int], ...] = ()
    """Of its steps, from 0: those that left different parameters than the reference's, as the first and how many follow."""
    marks: tuple[Mark, ...] = ()


class NodeEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was done to a node."""

    at_us: int
    text: str


class Track(msgspec.Struct, frozen=True, kw_only=True):
    """All lanes of one run."""

    name: str
    lanes: tuple[Lane, ...]
    """In order of (incarnation, rank)."""
    links: tuple[Link, ...] = ()
    node_events: tuple[NodeEvent, ...] = ()


States = Mapping[int, Sequence[str | None]]
"""Digest of the parameters after each step, by rank; None where it is not known."""


def states_of(references: Sequence[Run]) -> States:
    """What the parameters should be after each step, where all references agree."""
    by_run = [{timeline.rank: timeline.steps for timeline in run.timelines} for run in references]
    ranks = set.intersection(*map(set, by_run)) if by_run else set()
    return {
        rank: [
            steps[0].after if len({step.after for step in steps}) == 1 else None
            for steps in zip(*(run[rank] for run in by_run), strict=False)
        ]
        for rank in ranks
    }


def track_of(
    run: Run,
    number_of: Callable[[TrainedBatch], int],
    names: dict[int, str] | None = None,
    states: States | None = None,
) -> Track:
    """The lanes of a run.

    Args:
        run: The run.
        number_of: Gives each distinct batch a number.
        names: Of the planned faults, by number; one that has none is called by its kind.
        states: What the parameters should be after each step; compared only where as many ranks train.

    Time and memory: linear in the number of its lines.
    """
    clocks = Clocks(run)
    marks = _Marks(run, names or {}, clocks)
    lanes = tuple(
        _lane(
            life,
            span,
            run,
            number_of=number_of,
            clocks=clocks,
            marks=marks.of_lanes[number],
            strays=tuple(_ranges(_strays(life, states or {}))),
        )
        for number, (life, span) in enumerate(zip(run.lives, spans_of(run), strict=True))
    )
    events = tuple(
        NodeEvent(at_us=round(clocks.us(act.time_ns)), text=f"node {act.node} {act.act}") for act in run.history.acts
    )
    return Track(name=printable(run.history.name), lanes=lanes, links=tuple(marks.links), node_events=events)


def _lane(
    life: Life,
    span: Span,
    run: Run,
    *,
    number_of: Callable[[TrainedBatch], int],
    clocks: Clocks,
    marks: Sequence[Mark],
    strays: tuple[tuple[int, int], ...],
) -> Lane:
    process, start = life.process, life.process.start
    batches = [*chain.from_iterable(step.batches for step in life.steps), *life.unfinished, *life.waiting]
    received = [clocks.us(process.records[batch.line - 1].time_ns, life) for batch in batches]
    end = ending(life, run)
    return Lane(
        rank=span.rank,
        incarnation=span.incarnation,
        node=start.node,
        pid=start.pid,
        world_size=start.world_size,
        first_step=span.first_step,
        num_steps=span.num_steps,
        num_kept=span.num_kept,
        num_replayed=span.num_replayed,
        end=span.end,
        how=printable(end.how),
        begin_us=round(clocks.us(start.time_ns, life)),
        end_us=round(clocks.us(end.time_ns, life)),
        numbers=tuple(_ranges(number_of(batch) for batch in batches)),
        places=tuple(_places(batches)),
        sizes=tuple(_counted(len(step.batches) for step in life.steps)),
        num_unfinished=len(life.unfinished),
        num_waiting=len(life.waiting),
        received_us=_differences(received),
        done_us=_differences([clocks.us(time_ns, life) for time_ns in _done(life)]),
        losses=tuple(
            losses[0] if len(losses) == 1 else losses for losses in [step.unscaled_losses for step in life.steps]
        ),
        strays=strays,
        marks=tuple(marks),
    )


def _strays(life: Life, states: States) -> Iterator[int]:
    if life.process.start.world_size != len(states):
        return
    expected = states.get(life.rank, ())[life.first_step :]
    for number, (step, right) in enumerate(zip(life.steps, expected, strict=False)):
        if right is not None and step.after is not None and step.after != right:
            yield number


def _done(life: Life) -> Iterator[int]:
    """When each step was done; one that only other evidence shows, with the last that was seen."""
    records = life.process.records
    last = records[0].time_ns
    for step in life.steps:
        last = records[_last_line(step) - 1].time_ns if _last_line(step) else last
        yield last


def _last_line(step: TrainedStep) -> int:
    return step.line or max((batch.line for batch in step.batches), default=0)


class _Marks:
    """The marks of each lane, and what leads from one to another."""

    def __init__(self, run: Run, names: dict[int, str], clocks: Clocks) -> None:
        self._lives = {(life.incarnation, life.rank): (number, life) for number, life in enumerate(run.lives)}
        self._clocks = clocks
        self.of_lanes: list[list[Mark]] = [[] for _ in run.lives]
        self.links: list[Link] = []
        self._add_checkpoints(handovers_of(run))
        for firing in run.firings:
            name = names.get(firing.fault, firing.kind)
            self._add(firing.life, "fault", firing.num_steps, firing.time_ns, name)
        for hang in run.history.hangs:
            _, life = self._lives.get((hang.incarnation, hang.rank), (0, None))
            if life is not None:
                text = f"no progress for {hang.silent_s:.0f} s: ended by the hang watch"
                self._add(life, "hang", life.end_step, hang.time_ns, text)

    def _add_checkpoints(self, handovers: Handovers) -> None:
        saves = {}
        for one in handovers.written:
            _, life = self._lives[one.incarnation, one.rank]
            saves[one.place] = self._add(life, "save", one.own_step, one.end_ns, one.path)
        for read in handovers.read:
            _, life = self._lives[read.incarnation, read.rank]
            place = self._add(life, "load", read.step, read.time_ns, read.path)
            if read.source is not None:
                self.links.append(Link(save=saves[read.source.place], load=place))

    def _add(self, life: Life, kind: str, step: int, time_ns: int, text: str) -> tuple[int, int]:
        lane, _ = self._lives[life.incarnation, life.rank]
        at_us = round(self._clocks.us(time_ns, life))
        self.of_lanes[lane].append(Mark(kind=kind, step=step, at_us=at_us, text=printable(text)))
        return lane, len(self.of_lanes[lane]) - 1


def _ranges(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Numbers that follow one another, as the first and how many there are."""
    place = 0
    for offset, run in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        num = sum(1 for _ in run)
        yield place + offset, num
        place += num


def _places(batches: Iterable[TrainedBatch]) -> Iterator[tuple[int, int, int]]:
    """Epoch and batch of the first of those that follow one another in an epoch, and how many these are."""
    place = 0
    keys = ((batch.loader, batch.epoch, batch.batch - number) for number, batch in enumerate(batches))
    for (_, epoch, offset), run in groupby(keys):
        num = sum(1 for _ in run)
        yield epoch, place + offset, num
        place += num


def _counted(values: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Each value and how often it follows itself; itself counted."""
    return ((value, sum(1 for _ in run)) for value, run in groupby(values))


def _differences(times_us: Sequence[float]) -> tuple[int, ...]:
    times = [round(time_us) for time_us in times_us]
    return tuple(later - earlier for earlier, later in zip(chain([0], times), times, strict=False))
