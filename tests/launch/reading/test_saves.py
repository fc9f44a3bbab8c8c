"""What one process saved, as its lines tell it."""

from __future__ import annotations

import msgspec
import pytest

from resumable.launch.evidence.loop_profile import LoopProfile
from resumable.launch.evidence.rank_records import (
    AnyRecord,
    Backward,
    Batch,
    Dump,
    FaultFired,
    Load,
    Rename,
    Save,
    Step,
)
from resumable.launch.reading.saves import Saved, saved_by, series_of, within
from resumable.launch.reading.trajectory import Trajectory, trace
from tests.launch import histories
from tests.launch.histories import Job, Life

JOB = Job(num_samples=32, save_every=1000)
Place = tuple[str, int, bool]
"""Name, step, and whether it is finished."""
STEP = (
    Batch(sequence=0, time_ns=0, loader=0, epoch=0, batch=0, indices=[1]),
    Backward(sequence=0, time_ns=0),
    Step(sequence=0, time_ns=0, step=0),
)


def save(path: str, *phases: str) -> list[AnyRecord]:
    return [Save(sequence=0, time_ns=0, path=path, phase=phase) for phase in phases or ("begin", "end")]


def dump(path: str) -> list[AnyRecord]:
    return [Dump(sequence=0, time_ns=0, path=path, phase=phase) for phase in ("begin", "end")]


def rename(source: str, target: str) -> Rename:
    return Rename(sequence=0, time_ns=0, source=source, target=target)


def trajectory(*lines: AnyRecord) -> Trajectory:
    start = histories.process(Job(), Life(epochs=[], stop_after=0), rank=0, incarnation=0)
    return trace(histories.with_lines(start, lines), LoopProfile())


def written_by(written: Trajectory, first_step: int) -> list[Saved]:
    return [one for one in saved_by(written, first_step) if one.is_checkpoint]


def files(*lines: AnyRecord) -> list[tuple[str, int]]:
    return [(checkpoint.path, checkpoint.step) for checkpoint in written_by(trajectory(*lines), first_step=10)]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param([*STEP, *save("a")], [("a", 11)], id="saved"),
        pytest.param([*STEP, *save("a", "begin"), *STEP, *save("a", "end")], [("a", 11)], id="saved meanwhile"),
        pytest.param([*save("a", "begin"), *STEP], [], id="never closed"),
        pytest.param([*save(""), *STEP], [], id="into a buffer"),
        pytest.param([*STEP, *save("t"), *STEP, rename("t", "a")], [("a", 11)], id="renamed"),
        pytest.param([*STEP, *save("t/x"), *save("t/y"), rename("t", "a")], [("a/x", 11), ("a/y", 11)], id="folder"),
        pytest.param([*save(""), *STEP, rename("t", "a")], [("a", 10)], id="a buffer, written by other means"),
        pytest.param([*STEP, rename("t", "a")], [("a", 11)], id="renamed, and nobody saw it written"),
        pytest.param([*save("a"), *STEP, *save("a")], [("a", 10), ("a", 11)], id="written over"),
        pytest.param(
            [*save("", "begin"), *STEP, rename("t", "a")], [("a", 11)], id="renamed while a buffer is written"
        ),
        pytest.param([*save("t", "begin"), *STEP, rename("t", "a")], [("a", 10)], id="renamed, and nobody saw its end"),
        pytest.param([*dump("t"), *STEP, rename("t", "a")], [("a", 10)], id="a file of the job's own, renamed"),
        pytest.param([*dump("a"), *STEP], [], id="a file of the job's own"),
    ],
)
def test_a_file_holds_the_steps_done_when_it_was_begun(lines, expected):
    """A checkpoint counts under its last name, with the steps that its writer had done when it began to write."""
    assert expected == files(*lines)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param([*save("a"), *STEP], 0, id="before the first batch"),
        pytest.param([*STEP, *save("a")], 0, id="after a step"),
        pytest.param([*STEP, *STEP[:2], *STEP[:2], *save("a"), *STEP], 2, id="in the middle of an accumulation"),
        pytest.param([*STEP, *STEP[:2], *save("a"), *STEP[:2]], 1, id="the step never came"),
        pytest.param([*STEP, *STEP[:2], STEP[0], *save("a"), *STEP[1:]], 1, id="before a backward pass"),
        pytest.param([*STEP, STEP[0], *save("a"), *STEP[1:]], 0, id="before the only backward pass"),
        pytest.param([*STEP, *STEP[:2], *save("t"), *STEP, rename("t", "a")], 1, id="renamed after the step"),
    ],
)
def test_a_file_lacks_the_gradients_whose_step_was_still_to_come(lines, expected):
    """Parameters and optimizer state do not hold what was summed up for the next step."""
    assert [expected] == [checkpoint.num_accumulated for checkpoint in written_by(trajectory(*lines), first_step=0)]


def test_a_file_that_was_only_renamed_may_be_anything():
    """A log that is rotated is no checkpoint."""
    checkpoints = written_by(trajectory(*save("t"), rename("t", "a"), rename("log", "log.1")), first_step=0)
    assert [(checkpoint.path, checkpoint.file.is_saved) for checkpoint in checkpoints] == [
        ("a", True),
        ("log.1", False),
    ]


def test_a_file_is_settled_once_its_writer_went_on():
    """A pointer to the latest checkpoint may be written after it; a writer that died at once may not have come there."""
    checkpoints = written_by(trajectory(*STEP, *save("a"), *STEP, *save("b")), first_step=0)
    assert [(checkpoint.path, checkpoint.is_settled) for checkpoint in checkpoints] == [("a", True), ("b", False)]


def test_what_a_thread_puts_into_place_may_be_of_an_earlier_step() -> None:
    """Nobody saw it written; it is settled once the thread has put the next one there."""
    moved = [Rename(sequence=0, time_ns=0, source="t", target="latest", writer="thread")]
    saved = saved_by(trajectory(*STEP, *moved, *STEP, *moved), 10)
    assert [(one.step, one.is_step_sure, one.is_settled) for one in saved] == [(11, False, True), (12, False, False)]


@pytest.mark.parametrize(("lines", "is_settled"), [([], False), (save("b-4"), False), (save("a-4", "begin"), True)])
@pytest.mark.parametrize(("writer", "is_step_sure"), [("torch", True), ("thread", False)])
def test_what_the_loop_does_not_wait_for_is_settled_once_the_next_was_begun(lines, is_settled, writer, is_step_sure):
    """Training goes on whether or not the job has written the marker that belongs to it."""
    begin, end = save("a-2")
    in_background = [msgspec.structs.replace(begin, writer=writer), *STEP, end]
    checkpoint = written_by(trajectory(*STEP, *in_background, *STEP, *lines, *STEP), first_step=0)[0]
    found = checkpoint.path, checkpoint.step, checkpoint.is_settled, checkpoint.is_step_sure
    assert found == ("a-2", 1, is_settled, is_step_sure)


def test_a_fault_is_nothing_that_the_writer_did():
    """It was killed right after the rename, before it could write the pointer."""
    fired = FaultFired(sequence=0, time_ns=0, fault=0, kind="sigkill")
    [checkpoint] = written_by(trajectory(*STEP, *save("t"), rename("t", "a"), fired), first_step=0)
    assert not checkpoint.is_settled


@pytest.mark.parametrize(
    ("path", "series"),
    [
        ("d/step-15.pt", "d/step-#.pt"),
        ("best.pt", "best.pt"),
        ("1/2", "#/#"),
        ("c/ckpt_3f2a9c1e.pt", "c/ckpt_#.pt"),
        ("0c8b1f1e-7a3e-4d1c-9f60-2b8d6a5e4c11/m.pt", "#/m.pt"),
        ("decoded1/facade.pt", "decoded#/facade.pt"),
    ],
)
def test_files_that_differ_in_numbers_are_one_series(path, series):
    """The series is the name without its numbers, be they in hexadecimal digits."""
    assert series == series_of(path)


def test_what_a_process_read_before_its_first_step_is_what_it_loaded():
    """A file that is read later (the best model, for an evaluation) is not what training went on from."""
    first, later = Load(sequence=0, time_ns=0, path="a"), Load(sequence=0, time_ns=0, path="b")
    assert trajectory(first, *STEP, later).loaded == ("a",)


def begin(path: str, writer: str = "loop") -> Save:
    return Save(sequence=0, time_ns=0, path=path, phase="begin", writer=writer)


def end(path: str) -> Save:
    return Save(sequence=0, time_ns=0, path=path, phase="end")


def saves(*, after_1: tuple[AnyRecord, ...], after_2: tuple[AnyRecord, ...] = ()) -> list[Place]:
    """Of a process that records these lines after its first step and after its second, and ends well."""
    process = histories.process(JOB, histories.resumed(JOB, 0)[0], rank=0, incarnation=0)
    records: list[AnyRecord] = []
    for record in process.records:
        own = {0: after_1, 1: after_2}.get(record.step, ()) if isinstance(record, Step) else ()
        records += [record, *own]
    numbered = tuple(msgspec.structs.replace(record, sequence=number) for number, record in enumerate(records))
    process = msgspec.structs.replace(process, records=numbered)
    evidence = histories.of_histories(histories.history("faulted", [process]), JOB, [])
    return [(one.name, one.own_step, one.is_finished) for one in evidence.faulted.artefacts]


@pytest.mark.parametrize(
    ("after_1", "after_2", "expected"),
    [
        pytest.param((begin("a"), end("a")), (), [("a", 1, True)], id="written under its name"),
        pytest.param((begin("t"), end("t"), rename("t", "a")), (), [("a", 1, True)], id="renamed into place"),
        pytest.param((begin("d/a"), end("d/a"), rename("d", "e")), (), [("e/a", 1, True)], id="a folder"),
        pytest.param((begin(""), end(""), rename("t", "a")), (), [("a", 1, True)], id="a buffer"),
        pytest.param((begin(""), end("")), (), [], id="a buffer that no file was made of"),
        pytest.param((begin("a"),), (), [("a", 1, False)], id="never finished"),
        pytest.param((begin("a"),), (begin("a"), end("a")), [("a", 1, False), ("a", 2, True)], id="and begun again"),
        pytest.param(
            (begin("a"), end("a")),
            (rename("a", "a.old"), begin("a"), end("a")),
            [("a", 1, True), ("a", 2, True)],
            id="an older copy that makes room keeps its name",
        ),
        pytest.param(
            (begin("t"), end("t"), rename("t", "a")),
            (begin("t"), end("t"), rename("t", "a")),
            [("a", 1, True), ("a", 2, True)],
            id="one name after the other",
        ),
        pytest.param((begin("t", "thread"),), (end("t"), rename("t", "a")), [("a", 1, True)], id="by a thread, later"),
    ],
)
def test_a_save_has_the_name_that_it_was_put_in_place_by(
    after_1: tuple[AnyRecord, ...], after_2: tuple[AnyRecord, ...], expected: list[Place]
) -> None:
    """And the step after which it was begun."""
    assert expected == saves(after_1=after_1, after_2=after_2)


@pytest.mark.parametrize(
    ("kind", "is_told", "expected"),
    [("sigterm", True, False), ("preempt", True, False), ("sigkill", True, True), ("sigterm", False, True)],
)
def test_what_is_saved_upon_a_notice_is_of_no_course(kind: str, is_told: bool, expected: bool) -> None:
    """Whoever will be ended saves what he can; what was begun before is as always."""
    fired = FaultFired(sequence=0, time_ns=0, fault=0, kind=kind)
    lines = [fired, begin("a"), end("a")] if is_told else [begin("a"), end("a"), fired]
    process = histories.process(JOB, histories.resumed(JOB, 0)[0], rank=0, incarnation=0)
    records = (*process.records[:-1], *lines, process.records[-1])
    numbered = tuple(msgspec.structs.replace(record, sequence=number) for number, record in enumerate(records))
    process = msgspec.structs.replace(process, records=numbered)
    run = histories.of_histories(histories.history("faulted", [process]), JOB, []).faulted
    assert [expected] == [one.is_of_course for one in run.artefacts if one.name == "a"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/runs/1/faulted/work/a.pt", "work/a.pt"),
        ("/faulted/runs/faulted/a.pt", "a.pt"),
        ("/data/pretrained.pt", "/data/pretrained.pt"),
        ("", ""),
    ],
)
def test_a_path_is_the_same_in_every_run(path: str, expected: str) -> None:
    """As far as it lies within the run's own folder."""
    assert expected == within(path, "faulted")
