"""Loops of many shapes run through recorder and reader, against what they wrote down themselves."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from resumable.launch.evidence.history import Process
from resumable.launch.evidence.loop_profile import profile_of
from resumable.launch.evidence.rank_records import AnyRecord, Step, decode_line
from resumable.launch.reading.trajectory import trace
from resumable.launch.worker.patching import Patches
from resumable.launch.worker.position import Position
from resumable.launch.worker.recorder import Recorder
from resumable.launch.worker.watching import watch
from tests.launch.lines import started
from tests.launch.worker.loop_shapes import Key, Loop, Shape, shapes
from tests.launch.worker.stage import Stage

SHAPES = shapes(num_pairs=200, num_mixed=60)


@pytest.fixture(scope="module", autouse=True)
def _as_in_a_rank() -> Iterator[None]:
    """Who looks for modules need not look at all objects of torch: a rank comes from a fork server that has frozen them."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def recorded(shape: Shape, file: Path, patches: Patches) -> tuple[list[list[Key]], list[AnyRecord], Position]:
    """What a loop says that it did, and what was recorded of it."""
    gc.collect()  # models of earlier loops, of which one that no optimizer of torch's trains might be
    recorder, position = Recorder(file), Position(None)
    stage = Stage(file.parent)
    state = watch(recorder, position, lambda _pids: stage.trigger, patches, saved_keys=set, digests_content=False)
    try:
        truth = Loop(shape).run()
        state.note_end()
    finally:
        patches.undo()
        recorder.close()
    return truth, [decode_line(line) for line in file.read_bytes().splitlines()], position


def process_of(lines: Sequence[AnyRecord]) -> Process:
    start = started()
    return Process(file="x.jsonl", start=start, records=tuple(lines))


def steps_in(lines: Sequence[AnyRecord], whole: Sequence[AnyRecord]) -> list[list[Key]]:
    profile = profile_of([(0, whole)])
    return [[tuple(batch.indices) for batch in step.batches] for step in trace(process_of(lines), profile).steps]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_loop_is_read_as_it_was_run(shape: Shape, tmp_path: Path, patches: Patches) -> None:
    """Every step has the batches that its gradients were made of, wherever the process is killed."""
    truth, lines, position = recorded(shape, tmp_path / "events.jsonl", patches)
    assert steps_in(lines, lines) == truth
    steps = [number for number, line in enumerate(lines) if isinstance(line, Step)]
    for cut in (*steps[3:4], *[step + 1 for step in steps[-2:]], *[step + 2 for step in steps[5:9]]):
        found = steps_in(lines[:cut], lines)
        assert found == truth[: len(found)], cut
    assert position.num_steps == len(truth)
    assert {line.step for line in lines if isinstance(line, Step)} == set(range(len(truth)))
