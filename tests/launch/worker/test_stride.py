"""That a process counts alike whether its strides are recognised or each of its lines is followed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from resumable.launch.evidence.rank_records import (
    FIRST_INPUT,
    AnyRecord,
    Backward,
    Batch,
    EpochEnd,
    LetGo,
    Loader,
    SkippedStep,
    Step,
)
from resumable.launch.worker.position import Position
from resumable.launch.worker.stride import Stride

LENGTH = 7
LOADERS = (0, 1, FIRST_INPUT)


class Plodder(Position):
    """Follows each line."""

    def _begin_stride(self) -> None:
        """Never."""


class Script:
    """Writes the lines of a loop, of which most steps are strides."""

    def __init__(self) -> None:
        self.lines: list[AnyRecord] = []
        self._places = dict.fromkeys(LOADERS, (0, -1))
        self._batches: list[int] = []
        for loader in LOADERS:
            self.write(Loader, loader=loader, dataset=str(loader), num_batches=LENGTH)

    def write(self, kind: type[AnyRecord], **fields: Any) -> None:
        self.lines.append(kind(sequence=len(self.lines), time_ns=0, **fields))

    def batch(self, loader: int = 0, *, grad_enabled: bool = True) -> None:
        epoch, batch = self._places[loader]
        self._places[loader] = epoch, batch + 1
        self._batches.append(len(self.lines))
        self.write(Batch, loader=loader, epoch=epoch, batch=batch + 1, grad_enabled=grad_enabled)

    def backward(self, *back: int, **fields: Any) -> None:
        """Goes back to the batches that came so many before the last one."""
        told = [self._batches[-1 - number] for number in back if number < len(self._batches)]
        self.write(Backward, batches=told or None, **fields)

    def end(self, loader: int) -> None:
        epoch, batch = self._places[loader]
        self._places[loader] = epoch + 1, -1
        self.write(EpochEnd, loader=loader, epoch=epoch, num_batches=batch + 1)

    def stride(self, num_batches: int = 1) -> None:
        for _ in range(num_batches):
            self.batch()
            self.backward(0)
        self.write(Step, step=0)


ACTS = {
    "batch": lambda script: script.batch(),
    "other": lambda script: script.batch(1),
    "input": lambda script: script.batch(FIRST_INPUT),
    "looked at": lambda script: script.batch(grad_enabled=False),
    "backward": lambda script: script.backward(0),
    "again": lambda script: script.backward(2),
    "of two": lambda script: script.backward(1, 0),
    "untold": lambda script: script.backward(),
    "beside": lambda script: script.backward(0, beside=[1]),
    "carries": lambda script: script.backward(0, carries=True),
    "step": lambda script: script.write(Step, step=0),
    "skipped": lambda script: script.write(SkippedStep),
    "let go": lambda script: script.write(LetGo),
    "end": lambda script: script.end(0),
    "other's end": lambda script: script.end(1),
    "stride": Script.stride,
    "long stride": lambda script: script.stride(3),
}
USUAL = ["stride", "stride", "stride", "long stride", "end", "step", "batch", "backward"]
WORDS = st.lists(st.sampled_from([*USUAL * 3, *ACTS]), max_size=60)


def seen_of(position: Position, lines: list[AnyRecord], *, asks: bool) -> Iterator[tuple[Any, ...]]:
    """What anybody may ask, with each line."""
    for line in lines:
        count = position.count_step() if isinstance(line, Step) else None
        position.follow(line)
        upcoming = position.upcoming(line) if asks and isinstance(line, Batch) else None
        yield count, upcoming, position.has_backward, position.num_steps, position.is_after_step


@given(word=WORDS, asks=st.booleans())
def test_strides_count_as_their_lines_do(word: list[str], asks: bool) -> None:
    """Whatever comes between them, and whatever makes something else of one that has begun."""
    script = Script()
    for _ in range(40):
        script.stride()
    for act in word:
        ACTS[act](script)
    expected = list(seen_of(Plodder(None), script.lines, asks=asks))
    assert expected == list(seen_of(Position(None), script.lines, asks=asks))


def test_the_steps_of_a_plain_loop_are_strides() -> None:
    """Or nothing of this would be tested."""
    script, position = Script(), Position(None)
    for _ in range(40):
        script.stride()
    for line in script.lines:
        position.follow(line)
    assert isinstance(position._stride, Stride)
