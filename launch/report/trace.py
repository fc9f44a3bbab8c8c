"""Results as a trace in Chrome's JSON format, which https://ui.perfetto.dev and chrome://tracing open.

A run is a process there, a rank two threads of it: what it trained on, and its checkpoints. All runs of a command lie on one
axis.

Source: "Trace Event Format", the document of the Chromium project.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, count, pairwise

import msgspec

from resumable.launch.judge.results import Results
from resumable.launch.reading.failures import ending
from resumable.launch.reading.handovers import Read, handovers_of
from resumable.launch.reading.lives import Life, Run
from resumable.launch.reading.saves import Saved
from resumable.launch.reading.trained import TrainedStep
from resumable.launch.report.clocks import Clocks
from resumable.launch.report.reading import CaseEvidence
from resumable.launch.system.safe_io import encoded
from resumable.launch.system.text_safety import printable

_LEAST_US = 0.001
"""That a slice lasts: one without a duration would not be seen."""
_Slice = tuple[int, float, float, str]
"""Rank, begin and end in microseconds, name."""
Value = int | float | str | None | tuple["Value", ...]


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event of the format; names and letters are the format's."""

    ph: str
    """`X` a slice, `i` an instant, `s` and `f` the ends of a flow, `M` metadata."""
    name: str
    pid: int
    tid: int
    cat: str = ""
    ts: float | None = None
    """Microseconds."""
    dur: float | None = None
    id: int | None = None
    bp: str = ""
    """`e`: a flow ends at the slice around it."""
    s: str = ""
    """How far an instant reaches: `t` its thread, `p` its process."""
    args: dict[str, Value] = {}


def trace(results: Results, cases: CaseEvidence) -> bytes:
    """The trace of all cases, and of the reference that they share.

    The evidence of one case at a time lies in memory, beside the references.
    """
    clocks, flows, pids = Clocks(), count(1), count(1)
    events: list[Event] = []
    written: set[str] = set()
    for case in results.cases:
        evidence = cases.find(case.scenario)
        if evidence is None:
            continue
        names = {fault.number: str(fault) for fault in evidence.scenario.faults}
        for run in evidence.runs:
            if run.history.name not in written:
                written.add(run.history.name)
                clocks.add(run)
                faults = names if run is evidence.faulted else {}
                events.extend(_Writer(run, faults, pid=next(pids), clocks=clocks, flows=flows).events())
    other = {"script": printable(results.script), "outcome": str(results.outcome)}
    return encoded(msgspec.json.encode, {"traceEvents": events, "displayTimeUnit": "ms", "otherData": other}) + b"\n"


class _Writer:
    """The events of one run."""

    def __init__(self, run: Run, faults: dict[int, str], *, pid: int, clocks: Clocks, flows: Iterator[int]) -> None:
        self._run = run
        self._faults = faults
        self._pid = pid
        self._clocks = clocks
        self._lives = {(life.incarnation, life.rank): life for life in run.lives}
        self._flows = flows

    def events(self) -> Iterator[Event]:
        yield from self._metadata()
        for life in self._run.lives:
            yield from self._life(life)
        yield from self._checkpoints()
        for firing in self._run.firings:
            name = printable(self._faults.get(firing.fault, firing.kind))
            yield self._instant(name, "fault", _training(firing.life.rank), self._us(firing.time_ns, firing.life))
        for hang in self._run.history.hangs:
            at = self._us(hang.time_ns, self._lives.get((hang.incarnation, hang.rank)))
            yield self._instant("ended by the hang watch", "hang", _training(hang.rank), at)
        for act in self._run.history.acts:
            yield self._instant(f"node {act.node} {act.act}", "node", 0, self._us(act.time_ns, None))

    def _metadata(self) -> Iterator[Event]:
        yield self._named("process_name", 0, name=printable(self._run.history.name))
        yield self._named("process_sort_index", 0, sort_index=self._pid)
        for timeline in self._run.timelines:
            rank = timeline.rank
            for tid, name in ((_training(rank), f"rank {rank}"), (_storing(rank), f"rank {rank}, checkpoints")):
                yield self._named("thread_name", tid, name=name)
                yield self._named("thread_sort_index", tid, sort_index=tid)

    def _named(self, what: str, tid: int, **args: Value) -> Event:
        return Event(ph="M", name=what, pid=self._pid, tid=tid, args=args)

    def _life(self, life: Life) -> Iterator[Event]:
        start, end = life.process.start, ending(life, self._run)
        last = self._us(start.time_ns, life)
        yield self._slice(
            f"incarnation {life.incarnation}",
            "incarnation",
            _training(life.rank),
            (last, self._us(end.time_ns, life)),
            node=start.node,
            pid=start.pid,
            end=printable(end.how),
        )
        for number, step in enumerate(life.steps):
            span = self._span(life, step, last)
            if span is not None:
                last = span[1]
                what = "kept" if number < life.num_kept else "lost"
                name = f"step {life.first_step + number}"
                yield self._slice(name, what, _training(life.rank), span, became=what, **_content(step))

    def _span(self, life: Life, step: TrainedStep, last: float) -> tuple[float, float] | None:
        """From the first batch, or from the step before where that was fetched ahead, to its end."""
        lines = [*(batch.line for batch in step.batches), *([step.line] if step.line else [])]
        if not lines:
            return None
        times = [self._us(life.process.records[line - 1].time_ns, life) for line in lines]
        return max(last, min(times)), max(last, *times)

    def _checkpoints(self) -> Iterator[Event]:
        handovers = handovers_of(self._run)
        reads = [(one.rank, at := self._when(one, one.time_ns), at, f"load {one.path}") for one in handovers.read]
        writes = [
            (one.rank, self._when(one, one.file.begun.time_ns), self._when(one, one.end_ns), f"save {one.path}")
            for one in handovers.written
        ]
        for rank, begin, end, name in _one_after_another([*reads, *writes]):
            yield self._slice(printable(name), "checkpoint", _storing(rank), (begin, end))
        for read in handovers.read:
            if read.source is not None:
                yield from self._flow(read, read.source)

    def _flow(self, read: Read, written: Saved) -> Iterator[Event]:
        number = next(self._flows)
        begin, end = self._when(written, written.file.begun.time_ns), self._when(read, read.time_ns)
        for letter, rank, at, where in (("s", written.rank, begin, ""), ("f", read.rank, end, "e")):
            yield Event(
                ph=letter,
                name="checkpoint",
                cat="checkpoint",
                id=number,
                pid=self._pid,
                tid=_storing(rank),
                ts=at,
                bp=where,
            )

    def _slice(self, name: str, kind: str, tid: int, span: tuple[float, float], **args: Value) -> Event:
        begin, end = span
        duration = max(end - begin, _LEAST_US)
        return Event(ph="X", name=name, cat=kind, pid=self._pid, tid=tid, ts=begin, dur=duration, args=args)

    def _instant(self, name: str, kind: str, tid: int, at: float) -> Event:
        reach = "t" if tid else "p"
        return Event(ph="i", name=name, cat=kind, pid=self._pid, tid=tid, ts=at, s=reach)

    def _us(self, time_ns: int, life: Life | None) -> float:
        return self._clocks.us(time_ns, life)

    def _when(self, one: Read | Saved, time_ns: int) -> float:
        return self._us(time_ns, self._lives[one.incarnation, one.rank])


def _training(rank: int) -> int:
    return 2 * rank + 1


def _storing(rank: int) -> int:
    return 2 * rank + 2


def _content(step: TrainedStep) -> dict[str, Value]:
    samples = chain.from_iterable(batch.samples for batch in step.batches)
    return {
        "epoch": step.batches[0].epoch if step.batches else None,
        "batch": step.batches[0].batch if step.batches else None,
        "samples": " ".join(printable(str(sample)) for sample in samples),
        "loss": step.losses[0] if len(step.losses) == 1 else step.losses,
    }


def _one_after_another(slices: Sequence[_Slice]) -> Iterator[_Slice]:
    """The same without overlaps, which a thread of a trace cannot show: each ends where the next of its rank begins."""
    for one, following in pairwise([*sorted(slices), (-1, 0, 0, "")]):
        rank, begin, end, name = one
        yield rank, begin, min(end, following[1]) if following[0] == rank else end, name
