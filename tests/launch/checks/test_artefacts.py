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
from resumable.launch.evidence.rank_records import AnyRecord, Backward, Dump, Figure, Load, Rename, Save, Step, Writer
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
    writer: Writer = "loop"
    is_checkpoint: bool = True


def lines_of(file: File, step: int, folder: str) -> list[AnyRecord]:
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
    history: History, *files: Sequence[File], loads: str = "latest.pt", early: Sequence[File] = ()
) -> History:
    """Rank 0 saves these files, those of each incarnation."""

    def with_own(process: Process) -> Process:
        base = RESUMED if process.incarnation else 0
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
    *,
    other: Sequence[File] | None = None,
    loads: str = "latest.pt",
    early: Sequence[File] = (),
    run: History | None = None,
    is_noisy: bool = False,
) -> CheckResult:
    """What is said of a run.

    Args:
        reference: What the uninterrupted run saves.
        first: What the run saves before it is killed; None: the same.
        second: What it saves after the restart; None: the same.
        other: What the second uninterrupted run saves; None: the same.
        loads: What it goes on from.
        early: What it saves then before its first step.
        run: Its lines; None: of an exact resume.
        is_noisy: The numbers of the uninterrupted runs are not the same.
    """
    exact = histories.one_kill(JOB, at=KILLED, resume=RESUMED).faulted.history
    references = {
        "first": with_saves(histories.reference(JOB, 1), reference),
        "second": with_saves(histories.reference(JOB, 2), reference if other is None else other),
    }
    if is_noisy:
        references["second"] = changed(references["second"], fields(Backward, loss=-1.0))
    before = reference if first is None else first
    faulted = with_saves(run or exact, before, reference if second is None else second, loads=loads, early=early)
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
    ],
)
def test_each_file_is_told_once_and_all_of_them(wanted: Schedule, own: Schedule) -> None:
    """At the first step of each that is wrong."""
    result = judged((LATEST, replace(BEST, when=wanted), FINAL), second=(LATEST, replace(BEST, when=own)))
    assert [(v.problem.path, v.step) for v in result.violations] == [("work/best.pt", 16), ("work/model.pt", END)]


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
    ],
)
def test_nobody_is_accused_of_what_may_be(
    reference: Sequence[File], second: Sequence[File], other: Sequence[File] | None
) -> None:
    """Neither of what is never the same, nor of a schedule that begins with each process."""
    result = judged(reference, second=second, other=other)
    assert Outcome.INVALID is not result.outcome, result.summary


def test_an_export_is_asked_for_whatever_the_schedule() -> None:
    """It comes at the end, and is unlike all that was saved before."""
    later = [File(path=f"step-{step}.pt", when=at(step)) for step in range(9, END, 4)]
    export = keyed("model.pt", at(END), config=1)
    result = judged((*NUMBERED, export), second=later, loads="step-8.pt")
    assert "did not save work/model.pt after 24 steps" in result.summary


def test_names_of_steps_may_begin_with_each_process() -> None:
    """So many steps after each restart; the first of them was what it went on from."""
    later = [File(path=f"step-{step}.pt", when=at(step)) for step in range(9, END, 4)]
    result = judged(NUMBERED, second=later, loads="step-8.pt")
    assert Outcome.INVALID is not result.outcome, result.summary


TORN = replace(FINAL, when=never, unfinished=at(RESUMED))
EXPORT, AGAIN = replace(FINAL, when=at(RESUMED)), replace(FINAL, when=at(RESUMED, END))


@pytest.mark.parametrize(
    ("reference", "first", "second", "expected"),
    [
        pytest.param(AGAIN, TORN, AGAIN, "", id="made good at a later step"),
        pytest.param(EXPORT, TORN, EXPORT, "began to save work/model.pt after 8", id="torn and taken for done"),
        pytest.param(EXPORT, replace(EXPORT, when=never), EXPORT, "did not save work/model.pt after 8", id="not begun"),
    ],
)
def test_a_stop_in_the_middle_of_a_save_must_be_made_good(
    reference: File, first: File, second: File, expected: str
) -> None:
    """By a process that goes on from the very step: it does not do it again."""
    exact = histories.one_kill(JOB, at=RESUMED, resume=RESUMED).faulted.history
    result = judged((LATEST, reference), (LATEST, first), (LATEST, second), run=exact)
    assert (bool(expected), True) == (result.outcome is Outcome.INVALID, expected in result.summary), result.summary


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
        pytest.param({"restarts": lambda _: 1}, "", id="a number of the process, not of the training"),
        pytest.param({"more": lambda _: 1}, "", id="one that nobody knows"),
    ],
)
def test_numbers_that_follow_from_the_training_are_compared(
    figures: dict[str, Callable[[int], Figure]], words: str, *, is_checkpoint: bool
) -> None:
    """In a checkpoint, or in a file beside it."""
    reference = replace(FIGURES, is_checkpoint=is_checkpoint)
    result = judged((reference,), second=(replace(reference, figures={**FIGURES.figures, **figures}),))
    assert (bool(words), True) == (result.outcome is Outcome.INVALID, words in result.summary), result.summary


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


@pytest.mark.parametrize("writer", ["loop", "thread"])
@pytest.mark.parametrize("is_noisy", [True, False])
@pytest.mark.parametrize(
    ("reference", "first", "second", "accuses"),
    [
        pytest.param(lambda _: 1.0, None, halved, False, id="while nothing overflows"),
        pytest.param(
            lambda step: step / 8, lambda step: step / 9, lambda step: step / 9, False, id="since before the fault"
        ),
        pytest.param(moving, None, lambda step: step / 9, True, id="with each save"),
    ],
)
def test_where_numbers_do_not_repeat_what_may_be_the_same_by_accident_accuses_nobody(
    reference, first, second, *, accuses: bool, is_noisy: bool, writer: Writer
) -> None:
    """A number that moves with each save and is the same in all runs, until they are disturbed, follows from no noise."""
    whole, before, after = (
        replace(counted(scale=scale), writer=writer) for scale in (reference, first or reference, second)
    )
    result = judged((whole,), (before,), (after,), is_noisy=is_noisy)
    assert (result.outcome is Outcome.INVALID) == (accuses or not is_noisy)


def test_a_file_that_is_no_checkpoint_may_be_written_when_a_process_begins() -> None:
    """Its settings, for example; a checkpoint would overwrite what the uninterrupted run has left alone."""
    settings = File(path="settings.json", when=at(4), is_checkpoint=False)
    again = replace(settings, when=at(9))
    assert judged((LATEST, settings), second=(LATEST, again)).outcome is Outcome.VALID


@pytest.mark.parametrize(
    ("values", "words"),
    [("right", ""), ("wrong", "saved different values under 'average' in work/wrong-12.pt after 12")],
)
def test_a_name_may_depend_on_what_is_saved(values: str, words: str) -> None:
    """A checksum in it, for example: what is saved in its place at the same step, with the same keys, is its counterpart."""
    average = {"right": lambda step: -step, "wrong": lambda step: -step if step <= RESUMED else "new"}
    content = {"model": lambda step: step}

    def names(kind: str) -> list[File]:
        return [
            File(path=f"{kind}-{step}.pt", when=at(step), content={**content, "average": average[kind]})
            for step in range(4, END + 1, 4)
        ]

    result = judged(names("right"), second=names(values), loads="right-8.pt")
    assert (bool(words), True) == (result.outcome is Outcome.INVALID, words in result.summary), result.summary
