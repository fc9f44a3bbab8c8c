"""Saves of one process, as its lines tell them."""

from __future__ import annotations

import msgspec
import pytest

from resumable.launch.evidence.rank_records import AnyRecord, FaultFired, Rename, Save, Step
from resumable.launch.reading.saves import within
from tests.launch import histories
from tests.launch.histories import Job

JOB = Job(num_samples=32, save_every=1000)
Place = tuple[str, int, bool]
"""Name, step, and whether it is finished."""


def begin(path: str, writer: str = "loop") -> Save:
    return Save(sequence=0, time_ns=0, path=path, phase="begin", writer=writer)


def end(path: str) -> Save:
    return Save(sequence=0, time_ns=0, path=path, phase="end")


def moved(source: str, target: str) -> Rename:
    return Rename(sequence=0, time_ns=0, source=source, target=target)


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
        pytest.param((begin("t"), end("t"), moved("t", "a")), (), [("a", 1, True)], id="renamed into place"),
        pytest.param((begin("d/a"), end("d/a"), moved("d", "e")), (), [("e/a", 1, True)], id="a folder"),
        pytest.param((begin(""), end(""), moved("t", "a")), (), [("a", 1, True)], id="a buffer"),
        pytest.param((begin(""), end("")), (), [], id="a buffer that no file was made of"),
        pytest.param((begin("a"),), (), [("a", 1, False)], id="never finished"),
        pytest.param((begin("a"),), (begin("a"), end("a")), [("a", 1, False), ("a", 2, True)], id="and begun again"),
        pytest.param(
            (begin("a"), end("a")),
            (moved("a", "a.old"), begin("a"), end("a")),
            [("a", 1, True), ("a", 2, True)],
            id="an older copy that makes room keeps its name",
        ),
        pytest.param(
            (begin("t"), end("t"), moved("t", "a")),
            (begin("t"), end("t"), moved("t", "a")),
            [("a", 1, True), ("a", 2, True)],
            id="one name after the other",
        ),
        pytest.param((begin("t", "thread"),), (end("t"), moved("t", "a")), [("a", 1, True)], id="by a thread, later"),
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
