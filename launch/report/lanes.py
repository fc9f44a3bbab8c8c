"""What a timeline draws of one run: a lane for each process, compact enough for a hundred thousand batches.

What follows one another is kept as its beginning and a length; times are differences, in microseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, pairwise

import msgspec

from resumable.launch.judge.results import Span, spans_of
from resumable.launch.reading.failures import ending
from resumable.launch.reading.handovers import handovers_of
from resumable.launch.reading.lives import Firing, Life, Run
from resumable.launch.reading.trajectory import TrainedBatch, TrainedStep
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
    """Since the run began."""
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


def track_of(run: Run, number_of: Callable[[TrainedBatch], int], names: dict[int, str] | None = None) -> Track:
    """The lanes of a run.

    Args:
        run: The run.
        number_of: Gives each distinct batch a number.
        names: Of the planned faults, by number; one that has none is called by its kind.

    Time and memory: linear in the number of its lines.
    """
    zero = min((life.trajectory.process.start.time_ns for life in run.lives), default=0)
    marks, links = _marks(run, names or {}, zero)
    lanes = tuple(
        _lane(life, span, run, number_of=number_of, zero=zero, marks=marks[number])
        for number, (life, span) in enumerate(zip(run.lives, spans_of(run), strict=True))
    )
    events = tuple(
        NodeEvent(at_us=_us(act.time_ns - zero), text=f"node {act.node} {act.act}") for act in run.history.acts
    )
    return Track(name=printable(run.history.name), lanes=lanes, links=links, node_events=events)


def _lane(
    life: Life,
    span: Span,
    run: Run,
    *,
    number_of: Callable[[TrainedBatch], int],
    zero: int,
    marks: Sequence[Mark],
) -> Lane:
    process, start = life.trajectory.process, life.trajectory.process.start
    batches = [*chain.from_iterable(step.batches for step in life.steps), *life.unfinished, *life.waiting]
    received = [process.records[batch.line - 1].time_ns - zero for batch in batches]
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
        begin_us=_us(start.time_ns - zero),
        end_us=_us(end.time_ns - zero),
        numbers=tuple(_ranges(number_of(batch) for batch in batches)),
        places=tuple((*place, num) for place, num in _places(batches)),
        sizes=tuple(_counted(len(step.batches) for step in life.steps)),
        num_unfinished=len(life.unfinished),
        num_waiting=len(life.waiting),
        received_us=_differences(received),
        done_us=_differences([time_ns - zero for time_ns in _done(life)]),
        losses=tuple(step.losses[0] if len(step.losses) == 1 else step.losses for step in life.steps),
        marks=tuple(marks),
    )


def _done(life: Life) -> Iterator[int]:
    """When each step was done; one that only other evidence shows, with the last that was seen."""
    records = life.trajectory.process.records
    last = records[0].time_ns
    for step in life.steps:
        last = records[_last_line(step) - 1].time_ns if _last_line(step) else last
        yield last


def _last_line(step: TrainedStep) -> int:
    return step.line or max((batch.line for batch in step.batches), default=0)


def _marks(run: Run, names: dict[int, str], zero: int) -> tuple[list[list[Mark]], tuple[Link, ...]]:
    """Of each lane, and what leads from one to another."""
    lane_of = {(life.incarnation, life.rank): number for number, life in enumerate(run.lives)}
    marks: list[list[Mark]] = [[] for _ in run.lives]

    def add(incarnation: int, rank: int, mark: Mark) -> tuple[int, int]:
        lane = lane_of[incarnation, rank]
        marks[lane].append(mark)
        return lane, len(marks[lane]) - 1

    handovers = handovers_of(run)
    saves = {}
    for one in handovers.written:
        mark = Mark(kind="save", step=one.step, at_us=_us(one.end_ns - zero), text=printable(one.path))
        saves[one] = add(one.incarnation, one.rank, mark)
    links = []
    for read in handovers.read:
        mark = Mark(kind="load", step=read.step, at_us=_us(read.time_ns - zero), text=printable(read.path))
        place = add(read.incarnation, read.rank, mark)
        if read.source is not None:
            links.append(Link(save=saves[read.source], load=place))
    for firing in run.firings:
        add(firing.life.incarnation, firing.life.rank, _fault(firing, names, zero))
    ends = {(life.incarnation, life.rank): life.first_step + len(life.steps) for life in run.lives}
    for hang in run.history.hangs:
        key = (hang.incarnation, hang.rank)
        if key in lane_of:
            text = f"no progress for {hang.silent_s:.0f} s: ended by the hang watch"
            add(*key, Mark(kind="hang", step=ends[key], at_us=_us(hang.time_ns - zero), text=text))
    return marks, tuple(links)


def _fault(firing: Firing, names: dict[int, str], zero: int) -> Mark:
    text = printable(names.get(firing.fault, firing.kind))
    return Mark(kind="fault", step=firing.num_steps, at_us=_us(firing.time_ns - zero), text=text)


def _ranges(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Numbers that follow one another, as the first and how many there are."""
    first = num = 0
    for number in numbers:
        if num and number == first + num:
            num += 1
            continue
        if num:
            yield first, num
        first, num = number, 1
    if num:
        yield first, num


def _places(batches: Sequence[TrainedBatch]) -> Iterator[tuple[tuple[int, int], int]]:
    """Epoch and batch of the first of those that follow one another in an epoch, and how many these are."""
    begin = 0
    for number, (one, following) in enumerate(pairwise(batches), start=1):
        if (following.loader, following.epoch, following.batch) != (one.loader, one.epoch, one.batch + 1):
            yield (batches[begin].epoch, batches[begin].batch), number - begin
            begin = number
    if batches:
        yield (batches[begin].epoch, batches[begin].batch), len(batches) - begin


def _counted(values: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Each value and how often it follows itself; itself counted."""
    last, num = 0, 0
    for value in values:
        if num and value != last:
            yield last, num
            num = 0
        last, num = value, num + 1
    if num:
        yield last, num


def _differences(times_ns: Sequence[int]) -> tuple[int, ...]:
    times = [_us(time_ns) for time_ns in times_ns]
    return tuple(later - earlier for earlier, later in zip(chain([0], times), times, strict=False))


def _us(time_ns: int) -> int:
    return round(time_ns / 1000)
