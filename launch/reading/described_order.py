"""The order of each epoch as the job's sampler described it when the epoch began, where it did.

Samplers of `resumable.samplers` describe theirs. A program of theirs, in a process of its own, arranges the samples anew:
who judges a job shares no code with what it judges.
"""

from __future__ import annotations

import json
import subprocess
import sys
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

from resumable.launch.evidence.rank_records import Backward, Batch, EpochBegin, EpochEnd, Index
from resumable.launch.reading.dealt_batches import dealt, digest_of
from resumable.launch.reading.global_stream import EpochStreams, Names, is_by_content
from resumable.launch.reading.lives import Life, Run

_PROGRAM = "resumable.launch.jobs.streams"


class DescribedEpoch(msgspec.Struct, frozen=True, kw_only=True):
    """An epoch since training began, and what describes it."""

    number: int
    state: Mapping[str, Any] | None
    """Of the sampler, when the first process began the epoch; None if it described nothing."""
    num_replicas: int | None
    """Ranks that the described samples are dealt out to; None if that is not said."""
    world_size: int
    """Of the worker group of that process."""
    is_over: bool
    """The last process that trained on it was given all that its loader had."""


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """The beginning of an epoch."""

    samples: list[int] = []
    num_samples: int = 0
    """Of the whole epoch."""
    repeats: bool = False
    """Samples may come several times, as in a mixture."""
    why: str = ""
    """Why it cannot be arranged; "" if it can."""


def described_epochs(run: Run) -> Iterator[DescribedEpoch]:
    """All epochs that were trained on, in order.

    Ranks describe the same, so the first process that took part is asked; or the first that knows how the order was amended
    in the middle of the epoch.
    """
    passes: dict[int, list[tuple[Life, EpochBegin | None]]] = {}
    for life in run.lives:
        for epoch, begin in _passes_of(life):
            passes.setdefault(epoch, []).append((life, begin))
    for number, own in sorted(passes.items()):
        life, begin = max(own, key=_num_amendments)
        state = begin.sampler_state if begin is not None else None
        layout = state.get("layout") if state else None
        num_replicas = layout.get("num_replicas") if isinstance(layout, dict) else None
        yield DescribedEpoch(
            number=number,
            state=state,
            num_replicas=num_replicas if isinstance(num_replicas, int) else None,
            world_size=life.process.start.world_size,
            is_over=_is_over(*own[-1]),
        )


def _num_amendments(begun: tuple[Life, EpochBegin | None]) -> int:
    amendments = begun[1].sampler_state.get("amendments") if begun[1] is not None and begun[1].sampler_state else None
    return len(amendments) if isinstance(amendments, list) else 0


def let_go(run: Run, names: Names) -> dict[int, set[Index]]:
    """Samples of each epoch that a loop received and left out, as where a loss was no number; by the epoch's number.

    Of those that came before the first one of their pass that was trained on, only what a forward pass got: a loop that
    looks for its place leaves such out, also in epochs in which it has no business to. And none on which a process would
    have trained next when it was killed.
    """
    gone: dict[int, set[Index]] = {}
    for life in run.lives:
        epochs = {(begin.loader, begin.epoch): epoch for epoch, begin in _passes_of(life) if begin is not None}
        first: dict[int, int] = {}
        held = {batch.line for batch in (*life.unfinished, *life.waiting)}
        for batch in (batch for step in life.steps for batch in step.batches):
            first.setdefault(batch.epoch, batch.line)
            held.add(batch.line)
        records = life.process.records if epochs else ()
        passed = {line for record in records if isinstance(record, Backward) for line in _gone_forward(record)}
        for record in records:
            if isinstance(record, Batch) and record.grad_enabled and (record.loader, record.epoch) in epochs:
                epoch, line = epochs[record.loader, record.epoch], record.sequence + 1
                if (line > first[epoch] or record.sequence in passed) and line not in held:
                    gone.setdefault(epoch, set()).update(record.indices or names.get(record.digest or "", ()))
    return gone


def named_batches(run: Run, epochs: Iterable[DescribedEpoch], arranged: Streams) -> dict[str, tuple[Index, ...]] | None:
    """What batches held that are known by a digest of their samples, as far as the described order tells; by the digest.

    Returns:
        None where such batches are not all cut alike.
    """
    if not is_by_content(run):
        return {}
    sizes = {loader.batch_size for life in run.lives for loader in life.trajectory.loaders.values()}
    size = sizes.pop() if len(sizes) == 1 else None
    if size is None or any(process.start.keep == "samples" for process in run.history.processes):
        return None
    names: dict[str, tuple[Index, ...]] = {}
    trained = EpochStreams(run, names)
    world_sizes = {life.incarnation: life.process.start.world_size for life in run.lives}
    for epoch in epochs:
        nums = {number: len(trained.of(epoch.number, [number], by_batch=True)) for number in world_sizes}
        most = sum((num + world_sizes[number]) * size for number, num in nums.items())
        samples, start = arranged.of(epoch, most).samples, 0
        for number, world_size in sorted(world_sizes.items()):
            batches = dealt(samples, start, world_size=world_size, batch_size=size)
            names.update({digest_of(batch): batch for batch in batches})
            start += len(trained.of(epoch.number, [number], by_batch=True))
    return names


def _gone_forward(record: Backward) -> tuple[int, ...]:
    """Lines of the batches that forward passes got since the backward pass before."""
    return *(record.batches or ()), *record.beside


class Streams:
    """Asks for the samples of epochs; to be closed."""

    def __init__(self) -> None:
        # -P: nothing that lies in the present folder stands in for a module.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def of(self, epoch: DescribedEpoch, most: int) -> Stream:
        """The first `most` samples of an epoch that is described."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("it has no pipes")
        try:
            self._process.stdin.write(json.dumps({"state": epoch.state, "most": most}).encode() + b"\n")
            self._process.stdin.flush()
            return msgspec.json.decode(self._process.stdout.readline(), type=Stream)
        except (OSError, msgspec.DecodeError):
            return Stream(why="what would arrange it does not run here")

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


@contextmanager
def streams() -> Iterator[Streams]:
    """What arranges samples, for as long as it is needed."""
    own = Streams()
    try:
        yield own
    finally:
        own.close()


def _passes_of(life: Life) -> Iterator[tuple[int, EpochBegin | None]]:
    """The epochs of which steps of a process count, each with the line that began the pass it trained on."""
    begins = [record for record in life.process.events if isinstance(record, EpochBegin)]
    for epoch, ranges in life.steps[: life.num_kept].epoch_ranges().items():
        batches = life.steps[ranges[0].start].batches[life.num_carried if ranges[0].start == 0 else 0 :]
        batch = next((batch for batch in batches if batch.epoch == epoch), None)
        if batch is not None:
            own = [begin for begin in begins if begin.loader == batch.loader]
            place = bisect_left([begin.sequence for begin in own], batch.line - 1)
            yield epoch, own[place - 1] if place else None


def _is_over(life: Life, begin: EpochBegin | None) -> bool:
    if begin is None:
        return False
    ends = (record for record in life.process.events if isinstance(record, EpochEnd))
    return any((end.loader, end.epoch) == (begin.loader, begin.epoch) for end in ends)
