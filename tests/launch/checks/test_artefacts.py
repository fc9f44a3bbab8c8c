"""A rank that saves several files in a job of 24 steps, killed after 9 steps, which goes on after 8.

What rank 0 saves stands in schedules: after which steps, under which name, with what under each key. They are written into
the lines of an exact resume, where its saves belong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec
import pytest

from resumable.launch.checks.artefacts import artefacts
from resumable.launch.evidence.fingerprints import Fingerprint
from resumable.launch.evidence.history import History, Process
from resumable.launch.evidence.rank_records import (
    AnyRecord,
    Backward,
    Dump,
    Figure,
    Load,
    Remove,
    Rename,
    Save,
    SkippedStep,
    Step,
    Writer,
)
from resumable.launch.explain.check_result import CheckResult
from resumable.launch.explain.outcome import Outcome
from tests.launch import histories
from tests.launch.changes import changed, fields
from tests.launch.histories import Job

JOB = Job(num_samples=32, save_every=1000)
KILLED, RESUMED, END = 9, 8, 24
Schedule = Callable[[int], bool]


def every(num: int, begin: int = 0) -> Schedule:
    return lambda step: step > begin and (step - begin) % num == 0


def at(*steps: int) -> Schedule:
    return lambda step: step in steps


def never(_step: int) -> bool:
    return False


@dataclass(frozen=True, kw_only=True)
class File:
    """What a process saves under a name."""

    path: str
    when: Schedule
    content: Mapping[str, Callable[[int], object]] = field(default_factory=lambda: {"model": lambda step: step})
    figures: Mapping[str, Callable[[int], Figure]] = field(default_factory=dict)
    temporary: bool = True
    """It is written beside, then renamed."""
    unfinished: Schedule = never
    """After which steps it is begun and not finished."""
    removed: Schedule = never
    """After which steps it is removed again."""
    writer: Writer = "loop"
    is_checkpoint: bool = True


def lines_of(file: File, step: int, folder: str) -> list[AnyRecord]:
    if file.removed(step):
        return [Remove(sequence=0, time_ns=0, path=f"/runs/{folder}/work/{file.path}")]
    if not file.when(step) and not file.unfinished(step):
        return []
    path, draft = f"/runs/{folder}/work/{file.path}", f"/runs/{folder}/work/draft"
    name = draft if file.temporary else path
    content = {key: str(value(step)) for key, value in file.content.items()}
    figures = {key: value(step) for key, value in file.figures.items()}
    kind = Save if file.is_checkpoint else Dump
    begin = kind(sequence=0, time_ns=0, path=name, phase="begin", content=content, writer=file.writer, figures=figures)
    lines: list[AnyRecord] = [begin]
    if file.unfinished(step):
        return lines
    lines.append(kind(sequence=0, time_ns=0, path=name, phase="end"))
    return [*lines, Rename(sequence=0, time_ns=0, source=draft, target=path)] if file.temporary else lines


def saving(
    process: Process,
    files: Sequence[File],
    *,
    base: int,
    folder: str,
    loads: str | None = None,
    early: Sequence[File] = (),
) -> Process:
    """The process with its saves; the early ones come before its first step."""
    records: list[AnyRecord] = [process.records[0]]
    records += [Load(sequence=0, time_ns=0, path=f"/runs/{folder}/work/{loads}")] if loads else []
    records += [line for file in early for line in lines_of(file, base, folder)]
    step = base
    for record in process.records[1:]:
        records.append(record)
        if isinstance(record, Step):
            step += 1
            records += [line for file in files for line in lines_of(file, step, folder)]
    numbered = tuple(msgspec.structs.replace(record, sequence=number) for number, record in enumerate(records))
    return msgspec.structs.replace(process, records=numbered)


def without_loads(process: Process) -> Process:
    records = [record for record in process.records if not isinstance(record, Load)]
    return msgspec.structs.replace(process, records=tuple(records))


def with_saves(
    history: History,
    *files: Sequence[File],
    loads: str = "latest.pt",
    early: Sequence[File] = (),
    resumed: int = RESUMED,
) -> History:
    """Rank 0 saves these files, those of each incarnation."""

    def with_own(process: Process) -> Process:
        base = resumed if process.incarnation else 0
        own = files[process.incarnation] if process.rank == 0 else ()
        loaded = loads if process.incarnation else None
        begun = early if process.incarnation and process.rank == 0 else ()
        return saving(without_loads(process), own, base=base, folder=history.name, loads=loaded, early=begun)

    return msgspec.structs.replace(history, processes=tuple(map(with_own, history.processes)))


LATEST = File(path="latest.pt", when=every(4), content={"model": lambda step: step, "average": lambda step: -step})
BEST = File(path="best.pt", when=at(8))
FINAL = File(path="model.pt", when=at(END), temporary=False)
NUMBERED = tuple(File(path=f"step-{step}.pt", when=at(step)) for step in range(4, END + 1, 4))


def judged(
    reference: Sequence[File],
    first: Sequence[File] | None = None,
    second: Sequence[File] | None = None,
    *later: Sequence[File],
    other: Sequence[File] | None = None,
    third: Sequence[File] | None = None,
    loads: str = "latest.pt",
    early: Sequence[File] = (),
    resumed: int = RESUMED,
    run: History | None = None,
    is_noisy: bool = False,
) -> CheckResult:
    """What is said of a run.

    Args:
        reference: What the uninterrupted run saves.
        first: What the run saves before it is killed; None: the same.
        second: What it saves after the restart; None: the same.
        later: What it saves after further restarts.
        other: What the second uninterrupted run saves; None: the same.
        third: What a third one saves; None: there is none.
        loads: What it goes on from.
        early: What it saves then before its first step.
        resumed: After how many steps it goes on.
        run: Its lines; None: of an exact resume.
        is_noisy: The numbers of the uninterrupted runs are not the same.
    """
    exact = histories.one_kill(JOB, at=KILLED, resume=RESUMED).faulted.history
    references = {
        "first": with_saves(histories.reference(JOB, 1), reference),
        "second": with_saves(histories.reference(JOB, 2), reference if other is None else other),
    }
    if third is not None:
        references["third"] = with_saves(histories.reference(JOB, 3), third)
    faulted = run or exact
    if is_noisy:
        references["second"] = changed(references["second"], fields(Backward, loss=-1.0))
        faulted = changed(faulted, fields(Backward, loss=-2.0))
    files = reference if first is None else first, reference if second is None else second
    faulted = with_saves(faulted, *files, *later, loads=loads, early=early, resumed=resumed)
    return artefacts(histories.of_histories(faulted, JOB, [], **references))


def keyed(path: str, when: Schedule, **values: object) -> File:
    """A file whose parts are of the step, or as they are given."""
    model = {"model": lambda step: step}
    return File(path=path, when=when, content={**model, **{key: _as_function(v) for key, v in values.items()}})


def _as_function(value: object) -> Callable[[int], object]:
    return value if callable(value) else lambda _step: value


ALL = (LATEST, BEST, FINAL, *NUMBERED)


@pytest.mark.parametrize(
    "files",
    [
        pytest.param((LATEST,), id="one file"),
        pytest.param((LATEST, BEST), id="the best, which is not saved again"),
        pytest.param((LATEST, FINAL), id="an export at the end"),
        pytest.param((LATEST, *NUMBERED), id="a name for each step"),
        pytest.param(ALL, id="all together"),
        pytest.param((replace(LATEST, temporary=False),), id="written over"),
        pytest.param((LATEST, replace(BEST, writer="thread")), id="by a thread"),
    ],
)
def test_an_exact_resume_leaves_what_the_reference_leaves(files: Sequence[File]) -> None:
    """Whatever it saves."""
    assert judged(files).outcome is Outcome.VALID


LOST = keyed("latest.pt", every(4), average="new")
CLOCK = replace(LATEST, content={**LATEST.content, "clock": lambda step: step + 1})
CLOCK_2 = replace(LATEST, content={**LATEST.content, "clock": lambda step: step + 2})
CLOCK_3 = replace(LATEST, content={"model": lambda step: step, "average": lambda _: "new", "clock": lambda s: s + 3})
CLOCK_4 = replace(LATEST, content={**LATEST.content, "clock": lambda step: step + 4})
DROPPED = keyed("latest.pt", every(4))
BY_THREAD = replace(LATEST, writer="thread")
BY_LATE_THREAD = File(
    path="latest.pt",
    when=at(4, 8, 12, 17, 20, END),
    content={"model": lambda step: step - step % 4, "average": lambda step: step % 4 - step},
    writer="thread",
)
NUMBERED_BY_THREAD = tuple(
    replace(LATEST, path=f"step-{step}.pt", when=at(step), writer="thread") for step in (4, 8, 12)
)
TWICE_BY_THREAD = replace(BY_THREAD, when=at(4, 16))
BEST_BESIDE_THREAD = (replace(LATEST, writer="thread"), BEST)
AT_TIMES = replace(LATEST, path="timed.pt", when=at(12, 20))
AT_OTHER_TIMES = replace(AT_TIMES, when=at(12, 16))


@pytest.mark.parametrize(
    ("reference", "second", "other", "words"),
    [
        pytest.param(
            (LATEST,), (LOST,), None, "saved different values under 'average' in work/latest.pt after 12", id="lost"
        ),
        pytest.param((LATEST,), (DROPPED,), None, "work/latest.pt after 12 steps without 'average'", id="dropped"),
        pytest.param((CLOCK,), (CLOCK_3,), (CLOCK_2,), "under 'average'", id="lost beside a clock"),
        pytest.param((BY_THREAD,), (replace(LOST, writer="thread"),), None, "under 'average'", id="by a thread"),
        pytest.param(
            (BY_THREAD,), (replace(LOST, writer="thread"),), (BY_LATE_THREAD,), "under 'average'", id="by a late thread"
        ),
        pytest.param(
            (LATEST, BEST), (LATEST, replace(BEST, when=at(16))), None, "saved work/best.pt after 16", id="best again"
        ),
        pytest.param(
            (LATEST, replace(BEST, when=at(4, 16))),
            (LATEST, replace(BEST, when=at(4))),
            None,
            "did not save work/best.pt after 16 steps",
            id="best no more",
        ),
        pytest.param((LATEST, FINAL), (LATEST,), None, "did not save work/model.pt after 24 steps", id="no export"),
        pytest.param(
            (LATEST, FINAL),
            (LATEST, replace(FINAL, when=never, unfinished=at(END))),
            None,
            "began to save work/model.pt after 24 steps, and nobody ever finished that",
            id="half an export",
        ),
        pytest.param(
            (LATEST, *NUMBERED), (LATEST, *NUMBERED[:-1]), None, "did not save work/step-24.pt", id="the last"
        ),
        pytest.param((LATEST, *NUMBERED), (LATEST, *NUMBERED[:3]), None, "did not save work/step-16.pt", id="some"),
        pytest.param(
            NUMBERED_BY_THREAD,
            [replace(LOST, path=file.path, when=file.when, writer="thread") for file in NUMBERED_BY_THREAD],
            None,
            "under 'average' in work/step-12.pt",
            id="in numbered files, by a thread",
        ),
        pytest.param(
            (TWICE_BY_THREAD,),
            (replace(LOST, when=at(16), writer="thread"),),
            None,
            "under 'average' in work/latest.pt after 16",
            id="by a thread that saves twice",
        ),
        pytest.param(
            BEST_BESIDE_THREAD,
            (BY_THREAD, replace(BEST, when=at(16))),
            None,
            "saved work/best.pt after 16",
            id="best again, beside checkpoints of a thread",
        ),
        pytest.param(
            (BY_THREAD, replace(BEST, when=at(8, 20))),
            (BY_LATE_THREAD,),
            None,
            "did not save work/best.pt after 20",
            id="best no more, beside checkpoints of a thread",
        ),
        pytest.param(
            (AT_TIMES,),
            (replace(LOST, path="timed.pt", when=at(12)),),
            (AT_OTHER_TIMES,),
            "under 'average' in work/timed.pt after 12",
            id="where runs save at different times, at one that they have in common",
        ),
        pytest.param(
            (LATEST,),
            (replace(LATEST, when=never, unfinished=at(12), temporary=False), replace(LOST, temporary=False)),
            None,
            "under 'average' in work/latest.pt after 12",
            id="at the second try",
        ),
        pytest.param(
            (LATEST, FINAL),
            (LATEST, replace(FINAL, path="new.pt", when=never, unfinished=at(END))),
            None,
            "did not save work/model.pt after 24",
            id="something else was begun",
        ),
    ],
)
def test_what_is_lost_is_named(
    reference: Sequence[File], second: Sequence[File], other: Sequence[File] | None, words: str
) -> None:
    """The file, the step, and what of it."""
    result = judged(reference, second=second, other=other)
    assert (result.outcome, words in result.summary) == (Outcome.INVALID, True), result.summary


@pytest.mark.parametrize(
    ("wanted", "own"),
    [
        pytest.param(at(4, 16, 20), at(4), id="not saved"),
        pytest.param(at(8), at(16, 20), id="saved out of turn"),
        pytest.param(at(8), at(16, 20, END), id="saved out of turn, and where another is missing"),
    ],
)
def test_each_file_is_told_once_and_all_of_them(wanted: Schedule, own: Schedule) -> None:
    """At the first step of each that is wrong; the earliest one first, whatever their names are."""
    export = replace(FINAL, path="a.pt", content={"model": lambda step: -step})
    result = judged((LATEST, replace(BEST, when=wanted), export), second=(LATEST, replace(BEST, when=own)))
    assert [(v.problem.path, v.step) for v in result.violations] == [("work/best.pt", 16), ("work/a.pt", END)]


def test_a_file_that_is_no_checkpoint_and_out_of_turn_excuses_no_other() -> None:
    """Both follow from what decides when they are saved."""
    result = judged((LATEST, BEST, File(path="other.pt", when=at(4, 20))), second=(LATEST, replace(BEST, when=at(17))))
    assert [(v.problem.path, v.step) for v in result.violations] == [("work/best.pt", 17), ("work/other.pt", 20)]


def best_after(*steps: int) -> list[File]:
    return [File(path=f"best-{step}.pt", when=at(step)) for step in steps]


@pytest.mark.parametrize(
    ("reference", "second", "loads", "expected"),
    [
        pytest.param(best_after(4, 20), best_after(16, 20), "latest.pt", Outcome.INVALID, id="one more of a series"),
        pytest.param(best_after(4, 20), best_after(20), "latest.pt", Outcome.VALID, id="the same"),
        pytest.param([], best_after(16), "latest.pt", Outcome.VALID, id="a series of its own, in an emergency or so"),
        pytest.param(
            NUMBERED,
            [File(path=f"step-{step}.pt", when=at(step)) for step in range(9, END, 4)],
            "step-8.pt",
            Outcome.VALID,
            id="more of what it goes on from",
        ),
    ],
)
def test_files_under_names_of_their_own_are_of_a_series(
    reference: Sequence[File], second: Sequence[File], loads: str, expected: Outcome
) -> None:
    """When one of it is saved is decided by the same rule, whatever number it gets."""
    result = judged((LATEST, *reference), second=(LATEST, *second), loads=loads)
    assert result.outcome is expected, result.summary


KEPT, TURNED = File(path="top-4.pt", when=at(4)), File(path="top-12.pt", when=at(12), removed=at(16))


@pytest.mark.parametrize(
    ("second", "notes"),
    [
        pytest.param((KEPT, TURNED), [], id="the same"),
        pytest.param(
            (KEPT, replace(TURNED, removed=never)), ["in the end this run alone keeps work/top-12"], id="more"
        ),
        pytest.param(
            (replace(KEPT, removed=at(20)), TURNED),
            ["in the end the uninterrupted run alone keeps work/top-4"],
            id="less",
        ),
    ],
)
@pytest.mark.parametrize("is_noisy", [False, True])
def test_files_that_are_kept_otherwise_are_told(second: Sequence[File], notes: list[str], *, is_noisy: bool) -> None:
    """An emergency's save may push out another one, so nobody is accused; and noise may choose others."""
    result = judged((LATEST, KEPT, TURNED), second=(LATEST, *second), is_noisy=is_noisy)
    assert result.outcome is Outcome.VALID
    assert [note.partition(".pt")[0] for note in result.notes] == ([] if is_noisy else notes)


def test_what_is_saved_in_turn_of_wrong_batches_is_their_matter() -> None:
    """A best value may come at any step then."""
    strayed = histories.one_kill(JOB, at=KILLED, resume=RESUMED, rank0=lambda epochs: [epochs[0][::-1], *epochs[1:]])
    result = judged((LATEST, BEST), second=(LATEST, replace(BEST, when=at(16))), run=strayed.faulted.history)
    assert Outcome.INVALID is not result.outcome, result.summary


@pytest.mark.parametrize(
    ("reference", "second", "other"),
    [
        pytest.param((CLOCK,), (CLOCK_4,), (CLOCK_2,), id="a clock is never the same"),
        pytest.param((LATEST,), (replace(LATEST, when=every(4, 1)),), None, id="so many steps after each restart"),
        pytest.param(
            (LATEST, replace(BEST, when=every(4))),
            (replace(LATEST, when=every(4, 1)), replace(BEST, when=every(4, 1))),
            None,
            id="and an export with each",
        ),
        pytest.param(
            (LATEST, BEST), (LATEST, replace(BEST, when=at(16))), (LATEST, replace(BEST, when=at(12))), id="chance"
        ),
        pytest.param(
            (replace(CLOCK, writer="thread"),),
            (replace(CLOCK_4, writer="thread"),),
            (replace(CLOCK_2, writer="thread"),),
            id="a thread that saves the time of day",
        ),
        pytest.param(
            (BY_THREAD,),
            (replace(LOST, writer="thread"),),
            (replace(BY_THREAD, when=at(4)),),
            id="a thread that saves at will",
        ),
        pytest.param((BY_THREAD,), (BY_LATE_THREAD,), None, id="a thread that comes to it a step later"),
        pytest.param((BY_THREAD,), (BY_THREAD,), (BY_LATE_THREAD,), id="a thread that does so in one reference"),
        pytest.param((LATEST,), (LATEST, File(path="new.pt", when=at(10))), None, id="a file that nobody knows"),
        pytest.param(
            (replace(TWICE_BY_THREAD, content={**LATEST.content, "config": lambda _: 1}),),
            (replace(BY_THREAD, when=at(13), content={**LATEST.content, "config": lambda _: 1}),),
            None,
            id="a thread whose saves have settings in common",
        ),
        pytest.param(
            (LATEST, replace(BEST, writer="thread", when=at(4, 16))),
            (LATEST, replace(BEST, writer="thread", when=at(4, 17), content={"model": lambda step: step - step % 4})),
            None,
            id="an export by a thread that comes to it a step later",
        ),
        pytest.param(
            (replace(LATEST, when=at(4)), replace(BY_THREAD, when=every(4, 4))),
            (BY_LATE_THREAD,),
            None,
            id="the first save by the loop, the others by a thread",
        ),
        pytest.param(
            (LATEST, replace(BEST, when=every(4))),
            (replace(BY_THREAD, when=every(4, 2)), replace(BEST, when=every(4, 1))),
            None,
            id="a schedule of each process, by a thread that comes to it later",
        ),
        pytest.param(
            (LATEST, replace(FINAL, when=never, unfinished=at(END))), (LATEST,), None, id="what no run ever finished"
        ),
        pytest.param((keyed("latest.pt", every(4), a=1),), (DROPPED,), (DROPPED,), id="a key that is not always there"),
        pytest.param((LATEST, replace(LATEST, when=at(12))), (LATEST,), (LATEST,), id="twice at a step of one run"),
        pytest.param(
            (LATEST,), (replace(LATEST, when=at(16, 20, END), unfinished=at(12)),), None, id="torn and made good"
        ),
    ],
)
def test_nobody_is_accused_of_what_may_be(
    reference: Sequence[File], second: Sequence[File], other: Sequence[File] | None
) -> None:
    """Neither of what is never the same, nor of a schedule that begins with each process."""
    result = judged(reference, second=second, other=other)
    assert Outcome.INVALID is not result.outcome, result.summary


@pytest.mark.parametrize(
    ("reference", "first", "second"),
    [
        pytest.param(File(path="timed.pt", when=at(5, 20)), at(3), at(11), id="by the clock"),
        pytest.param(File(path="timed.pt", when=at(5)), never, never, id="or not"),
        pytest.param(File(path="export.pt", when=at(KILLED)), at(KILLED), never, id="if it is not there yet"),
    ],
)
def test_what_undisturbed_processes_save_when_they_like_accuses_no_restart(
    reference: File, first: Schedule, second: Schedule
) -> None:
    """The run is one more that nothing disturbs, until its first restart; and what it has saved by then is there."""
    own = ((LATEST, replace(reference, when=when)) for when in (first, second))
    assert judged((LATEST, reference), *own).outcome is Outcome.VALID


@pytest.mark.parametrize("is_third", [True, False])
@pytest.mark.parametrize("writer", ["loop", "thread"])
def test_all_uninterrupted_runs_are_asked(writer: Writer, *, is_third: bool) -> None:
    """If one of them saves at will, the others agree by accident."""
    seldom, often = (replace(LATEST, path="timed.pt", when=when, writer=writer) for when in (at(4), at(4, 20)))
    different = [(LATEST, often), (LATEST, seldom)]
    other, third = different if is_third else reversed(different)
    lost = replace(LOST, path="timed.pt", when=at(20), writer=writer)
    result = judged((LATEST, often), second=(LATEST, lost), other=other, third=third)
    assert result.outcome is Outcome.VALID, result.summary


def test_what_the_process_did_that_did_the_step_last_counts() -> None:
    """Another one had done it before, and was killed before it saved."""
    best = replace(BEST, when=at(KILLED))
    [violation] = judged((LATEST, best), (LATEST,), (LATEST,)).violations
    assert (violation.incarnation, violation.step) == (1, KILLED)


def test_what_a_job_that_ends_early_did_not_come_to_is_not_missing() -> None:
    """That it ends early is another check's matter."""
    early = {f"rank{rank}": lambda epochs: epochs[:-1] for rank in range(2)}
    run = histories.one_kill(JOB, at=KILLED, resume=RESUMED, **early).faulted.history
    assert judged((LATEST, FINAL), run=run).outcome is Outcome.VALID


def test_who_found_nothing_left_to_train_exports_all_the_same() -> None:
    """It was killed between the last step and the export."""
    run = histories.one_kill(JOB, at=END, resume=END).faulted.history
    lost = replace(LOST, path="model.pt")
    result = judged(
        (LATEST, replace(LATEST, path="model.pt", when=at(END))), (LATEST,), (), early=(lost,), resumed=END, run=run
    )
    assert "under 'average' in work/model.pt after 24 steps" in result.summary


@pytest.mark.parametrize("first", [at(4), at(4, KILLED)])
@pytest.mark.parametrize("early", [replace(BEST, when=at(15)), replace(LATEST, when=at(15))], ids=["best", "latest"])
def test_what_is_saved_in_an_emergency_may_come_at_any_step(first: Schedule, early: File) -> None:
    """A process saves when it is told to end, and the next one goes on from an older one: no lost file is excused."""
    groups = [
        histories.killed(JOB, KILLED),
        histories.killed(JOB, 15, base=RESUMED),
        histories.resumed(JOB, RESUMED),
    ]
    run = histories.evidence(JOB, groups, []).faulted.history
    files = [(LATEST, replace(BEST, when=when)) for when in (at(4, 20), first, never, never)]
    files[2] += (early,)
    result = judged(files[0], *files[1:], run=run)
    assert [(v.problem.path, v.step) for v in result.violations] == [("work/best.pt", 20)]


@pytest.mark.parametrize("step", [10, 14])
def test_a_checkpoint_at_a_step_of_its_own_excuses_what_is_saved_along_with_it(step: int) -> None:
    """And nothing before or behind it."""
    result = judged(
        (LATEST, BEST), second=(replace(LATEST, when=at(12, 13, 16, 20, END)), replace(BEST, when=at(step)))
    )
    assert [(v.problem.path, v.step) for v in result.violations] == [("work/best.pt", step)]


@pytest.mark.parametrize(("step", "outcome"), [(11, Outcome.INVALID), (12, Outcome.VALID)])
def test_where_a_gradient_scaler_left_out_a_step_by_chance_no_save_is_out_of_turn(step: int, outcome: Outcome) -> None:
    """It comes so many batches after the one before; up to there steps are as they should be."""
    exact = histories.one_kill(JOB, at=KILLED, resume=RESUMED).faulted.history
    skipped = SkippedStep(sequence=0, time_ns=0)
    run = changed(exact, lambda line: skipped if isinstance(line, Step) and line.step == 12 else line, incarnation=1)
    latest = replace(LATEST, when=every(1))
    result = judged((latest, BEST), second=(latest, replace(BEST, when=at(step))), run=run, is_noisy=True)
    assert result.outcome is outcome, result.summary


def test_where_one_of_several_uninterrupted_runs_differs_numbers_do_not_repeat() -> None:
    """The run's own may differ too, and what it saves is compared all the same."""
    result = judged((LATEST,), second=(LOST,), third=(LATEST,), is_noisy=True)
    assert "under 'average' in work/latest.pt after 12" in result.summary


def test_an_export_is_asked_for_whatever_the_schedule() -> None:
    """It comes at the end, and is unlike all that was saved before; nor is something else in its place."""
    later = [File(path=f"step-{step}.pt", when=at(step)) for step in range(9, END, 4)]
    export = keyed("model.pt", at(END), config=1)
    result = judged((*NUMBERED, export), second=(*later, keyed("new.pt", at(END), more=1)), loads="step-8.pt")
    assert [violation.sentence for violation in result.violations] == [
        "rank 0 did not save work/model.pt after 24 steps, as the uninterrupted run does"
    ]


def test_names_of_steps_may_begin_with_each_process() -> None:
    """So many steps after each restart; the first of them was what it went on from."""
    later = [File(path=f"step-{step}.pt", when=at(step)) for step in range(9, END, 4)]
    result = judged((keyed("settings.pt", at(4), seed=1), *NUMBERED), second=later, loads="step-8.pt")
    assert Outcome.INVALID is not result.outcome, result.summary


TORN = replace(FINAL, when=never, unfinished=at(RESUMED))
NOT_BEGUN = replace(FINAL, when=never)
EXPORT, AGAIN = replace(FINAL, when=at(RESUMED)), replace(FINAL, when=at(RESUMED, END))


@pytest.mark.parametrize(
    ("reference", "first", "second", "expected"),
    [
        pytest.param(AGAIN, TORN, AGAIN, "", id="made good at a later step"),
        pytest.param(AGAIN, NOT_BEGUN, AGAIN, "", id="not begun, and made good"),
        pytest.param(
            AGAIN, TORN, replace(TORN, unfinished=at(END)), "began to save work/model.pt after 8", id="torn twice"
        ),
        pytest.param(EXPORT, TORN, EXPORT, "began to save work/model.pt after 8", id="torn and taken for done"),
        pytest.param(
            replace(EXPORT, temporary=True),
            replace(TORN, temporary=True),
            EXPORT,
            "began to save work/model.pt after 8",
            id="torn beside its name",
        ),
        pytest.param(EXPORT, NOT_BEGUN, EXPORT, "did not save work/model.pt after 8", id="not begun"),
    ],
)
def test_a_stop_in_the_middle_of_a_save_must_be_made_good(
    reference: File, first: File, second: File, expected: str
) -> None:
    """By a process that goes on from the very step: it does not do it again."""
    exact = histories.one_kill(JOB, at=RESUMED, resume=RESUMED).faulted.history
    result = judged((LATEST, reference), (LATEST, first), (LATEST, second), run=exact)
    assert (bool(expected), True) == (result.outcome is Outcome.INVALID, expected in result.summary), result.summary
    assert bool(expected) == ("the restart took this step for done" in str(result.reason))


@pytest.mark.parametrize(
    ("read", "words"),
    [
        ("01", "none after a restart"),
        ("02", "began to save work/step-8.pt after 8 steps, and nobody ever finished that"),
    ],
)
def test_what_was_read_whole_had_been_finished(read: str, words: str) -> None:
    """Its process was killed between the end of a save in the background and the line that says so."""
    [step_8] = [replace(file, temporary=False) for file in NUMBERED if file.path == "step-8.pt"]
    begun = replace(step_8, when=never, unfinished=at(8))
    exact = histories.one_kill(JOB, at=KILLED, resume=RESUMED).faulted.history
    faulted = with_saves(exact, [begun], [step_8], loads="step-8.pt")
    for kind, whole in ((Save, "01"), (Load, read)):
        faulted = changed(faulted, fields(kind, fingerprints={"model": Fingerprint(whole=whole, num_whole=9)}))
    references = {name: with_saves(histories.reference(JOB, n), [step_8]) for n, name in ((1, "first"), (2, "second"))}
    assert words in artefacts(histories.of_histories(faulted, JOB, [], **references)).summary


def test_what_follows_from_other_parameters_is_another_checks_matter() -> None:
    """Nothing is told twice."""
    exact = histories.one_kill(JOB, at=KILLED, resume=RESUMED).faulted.history
    run = changed(exact, fields(Step, after="other"), incarnation=1)
    assert judged((LATEST, FINAL), second=(LOST,), run=run).outcome is Outcome.NOT_APPLICABLE


def test_a_job_that_did_not_come_to_its_end_is_not_asked_for_its_export() -> None:
    """Something ended it, and that is another check's matter."""
    exact = histories.one_kill(JOB, at=KILLED, resume=RESUMED).faulted.history
    cut = msgspec.structs.replace(exact.processes[-2], records=exact.processes[-2].records[:-1])
    run = msgspec.structs.replace(exact, processes=(*exact.processes[:-2], cut, exact.processes[-1]))
    assert judged((LATEST, FINAL), second=(LATEST,), run=run).outcome is Outcome.VALID


def test_nothing_to_compare_with_is_not_applicable() -> None:
    """`resumable run` has no reference."""
    evidence = msgspec.structs.replace(histories.one_kill(JOB), references=())
    assert artefacts(evidence).outcome is Outcome.NOT_APPLICABLE


def counted(*, is_checkpoint: bool = True, **figures: Callable[[int], Figure]) -> File:
    return replace(LATEST, figures=figures, is_checkpoint=is_checkpoint)


def quality(step: int) -> float:
    """Of the best step by now."""
    return 0.5 if step >= 8 else 0.9


def since_the_restart(step: int) -> int:
    return step - RESUMED


FIGURES = counted(
    best=quality,
    loss=lambda step: step / 8,
    tokens=lambda step: 10 * step,
    counts=lambda step: f"of {step}",
    restarts=lambda _: 0,
)


@pytest.mark.parametrize("is_checkpoint", [True, False])
@pytest.mark.parametrize(
    ("figures", "words"),
    [
        pytest.param({"best": lambda _: 0.7}, "saved 'best' as 0.7 instead of 0.5 in work/latest.pt", id="the best"),
        pytest.param({"loss": since_the_restart}, "'loss' as 4 instead of 1.5", id="an average"),
        pytest.param({"counts": lambda _: "x"}, "different numbers under 'counts'", id="a tensor of counts"),
        pytest.param({"restarts": lambda _: 1}, "the same content", id="a number of the process, not of the training"),
        pytest.param({"more": lambda _: 1}, "the same content", id="one that nobody knows"),
    ],
)
def test_numbers_that_follow_from_the_training_are_compared(
    figures: dict[str, Callable[[int], Figure]], words: str, *, is_checkpoint: bool
) -> None:
    """In a checkpoint, or in a file beside it."""
    reference = replace(FIGURES, is_checkpoint=is_checkpoint)
    result = judged((reference,), second=(replace(reference, figures={**FIGURES.figures, **figures}),))
    is_right = result.summary.endswith("the same content")
    assert (is_right, True) == (result.outcome is Outcome.VALID, words in result.summary), result.summary


@pytest.mark.parametrize(
    ("seen", "outcome"),
    [
        pytest.param((82,), Outcome.VALID, id="after the second one"),
        pytest.param((81, 82), Outcome.VALID, id="after the first one"),
        pytest.param((80, 81, 82), Outcome.VALID, id="all once more"),
        pytest.param((80,), Outcome.INVALID, id="the first one where only the last is left"),
        pytest.param((0, 80, 81, 82), Outcome.VALID, id="one more, when it begins"),
        pytest.param((81, 83), Outcome.INVALID, id="a wrong one"),
    ],
)
def test_of_several_saves_at_one_step_the_last_ones_are_left_to_who_goes_on_from_there(
    seen: Sequence[int], outcome: Outcome
) -> None:
    """A step that is left out, or a batch that is let go, is followed by a save as any other."""
    several = [replace(LATEST, when=at(RESUMED), figures={"seen": lambda _, num=num: num / 10}) for num in (80, 81, 82)]
    early = [replace(several[0], figures={"seen": lambda _, num=num: num / 10}) for num in seen]
    assert judged(several, early=early).outcome is outcome


def test_of_a_process_that_was_ended_before_its_first_step_nobody_knows_where_it_stood() -> None:
    """It has saved once more what it went on from; at the step that was done last, something else is saved."""
    exact = histories.one_kill(JOB, at=KILLED, resume=RESUMED).faulted.history
    processes = [
        msgspec.structs.replace(process, records=process.records[:1]) if process.incarnation else process
        for process in exact.processes
    ]
    ended = msgspec.structs.replace(exact, processes=tuple(processes))
    result = judged([replace(LATEST, when=every(1))], early=[LATEST], run=ended)
    assert result.outcome is Outcome.NOT_APPLICABLE, result.summary


def test_a_number_that_is_missing_is_named() -> None:
    """It is not written any more."""
    figures = {key: value for key, value in FIGURES.figures.items() if key != "best"}
    result = judged((FIGURES,), second=(counted(**figures),))
    assert "saved no 'best' in work/latest.pt after 12 steps" in result.summary


@pytest.mark.parametrize("is_short", [True, False])
def test_a_list_that_is_much_longer_or_shorter_is_not_said_to_be_missing(*, is_short: bool) -> None:
    """Up to so many numbers stand each by itself, more of them are one thing."""
    lists = {"pool": lambda step: f"{step}"}, {f"pool/{number}": lambda step: step + 0.5 for number in range(2)}
    wanted, found = lists if is_short else reversed(lists)
    result = judged((counted(**wanted),), second=(counted(**found),))
    assert f"saved more or fewer numbers at 'pool{'' if is_short else '/0'}'" in result.summary


def test_a_place_that_a_job_counts_in_its_own_way_is_told_and_accuses_nobody() -> None:
    """Each job counts as it likes to; what it has trained on was seen."""
    result = judged((FIGURES,), second=(counted(**{**FIGURES.figures, "tokens": since_the_restart}),))
    assert result.outcome is Outcome.VALID
    [note] = result.notes
    assert note.startswith("rank 0 saved 'tokens' as 4 instead of 120 in work/latest.pt after 12 steps: unless")


def test_a_number_that_is_never_the_same_excuses_itself() -> None:
    """And nothing beside it."""
    clocks = [counted(best=quality, clock=lambda step, n=number: float(step + n)) for number in range(3)]
    assert judged(clocks[:1], second=clocks[1:2], other=clocks[2:]).outcome is Outcome.VALID


def moving(step: int) -> float:
    return step / 8


def halved(step: int) -> float:
    """A scale that has overflowed, or a rate that follows losses."""
    return 0.5 if step > RESUMED else 1.0


def paused(step: int) -> float:
    """A number that was the same once, long before the end."""
    return moving(8 if step == 12 else step)


@pytest.mark.parametrize("writer", ["loop", "thread"])
@pytest.mark.parametrize("is_numbered", [True, False])
@pytest.mark.parametrize(
    ("reference", "first", "second", "accuses"),
    [
        pytest.param(lambda _: 1.0, None, halved, (False, True), id="while nothing overflows"),
        pytest.param(paused, None, halved, (False, True), id="but once"),
        pytest.param(moving, lambda step: step / 9, lambda step: step / 9, (False, False), id="since before the fault"),
        pytest.param(moving, None, lambda step: step / 9, (True, True), id="with each save"),
    ],
)
def test_where_numbers_do_not_repeat_what_may_be_the_same_by_accident_accuses_nobody(
    reference, first, second, *, accuses: tuple[bool, bool], is_numbered: bool, writer: Writer
) -> None:
    """A number that moves with each save and is the same in all runs, until they are disturbed, follows from no noise."""
    runs = [
        [replace(file, writer=writer, figures={"scale": scale}) for file in (NUMBERED if is_numbered else (LATEST,))]
        for scale in (reference, first or reference, second)
    ]
    results = [judged(*runs, is_noisy=is_noisy, loads=runs[0][0].path) for is_noisy in (True, False)]
    assert accuses == tuple(result.outcome is Outcome.INVALID for result in results)


@pytest.mark.parametrize("is_noisy", [True, False])
def test_where_numbers_do_not_repeat_one_that_is_saved_once_tells_nothing(*, is_noisy: bool) -> None:
    """Nobody has seen it move."""
    export, lost = (replace(FINAL, figures={"scale": lambda _, scale=scale: scale}) for scale in (1.0, 2.0))
    result = judged((LATEST, export), second=(LATEST, lost), is_noisy=is_noisy)
    assert result.outcome is (Outcome.VALID if is_noisy else Outcome.INVALID)


def test_a_file_that_is_no_checkpoint_may_be_written_when_a_process_begins() -> None:
    """Its settings, for example; a checkpoint would overwrite what the uninterrupted run has left alone."""
    settings = File(path="settings.json", when=at(4), is_checkpoint=False)
    again = replace(settings, when=at(9))
    assert judged((LATEST, settings), second=(LATEST, again)).outcome is Outcome.VALID


@pytest.mark.parametrize(
    ("values", "words"),
    [("right", ""), ("else", ""), ("wrong", "saved different values under 'average' in work/wrong-12.pt after 12")],
)
def test_a_name_may_depend_on_what_is_saved(values: str, words: str) -> None:
    """A checksum in it, for example: what is saved in its place at the same step, with the same keys, is its counterpart."""
    average = {"wrong": lambda step: -step if step <= RESUMED else "new"}
    average |= dict.fromkeys(("right", "else"), lambda step: -step)
    beside = [replace(LATEST, path="beside.pt", content={"model": lambda step: -step, "average": lambda step: step})]
    content = {"model": lambda step: step}

    def names(kind: str) -> list[File]:
        return beside + [
            File(path=f"{kind}-{step}.pt", when=at(step), content={**content, "average": average[kind]})
            for step in range(4, END + 1, 4)
        ]

    result = judged(names("right"), second=names(values), loads="right-8.pt")
    assert (bool(words), True) == (result.outcome is Outcome.INVALID, words in result.summary), result.summary
