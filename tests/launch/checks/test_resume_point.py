from collections.abc import Sequence
from dataclasses import replace

import msgspec
import pytest

from resumable.launch.checks.resume_point import resume_point
from resumable.launch.evidence.fingerprints import Fingerprint
from resumable.launch.evidence.history import Process
from resumable.launch.evidence.rank_records import AnyRecord, FaultFired, Load, Remove, Rename, Save, Step
from resumable.launch.explain.check_result import CheckResult
from resumable.launch.explain.codes.resume import NoticeWasted
from resumable.launch.explain.outcome import Outcome
from resumable.launch.plan.fault_grammar import parse_fault
from resumable.launch.plan.fault_model import PlannedFault, resolve
from tests.launch import histories
from tests.launch.histories import Job, Life
from tests.launch.states import with_states

JOB = Job(num_samples=32, save_every=2)
LOG = Rename(sequence=0, time_ns=0, source="log", target="log.1")


def judged(*, at: int, resume: int, loads: str | None, job: Job = JOB) -> CheckResult:
    lives = [replace(life, loads=loads) for life in histories.resumed(job, resume)]
    return resume_point(histories.evidence(job, [histories.killed(job, at), lives], []))


def test_the_newest_checkpoint_is_right():
    """One step was done since the checkpoint, and is done again."""
    result = judged(at=5, resume=4, loads="ckpt/step-4.pt")
    assert (result.outcome, result.summary) == (Outcome.VALID, "step 4 (known by parameters), 1 step done again")


def test_a_checkpoint_after_the_last_step_loses_nothing():
    """What it holds is all that was done."""
    lives = [histories.killed(JOB, 4, saves_last=True), histories.resumed(JOB, 4)]
    result = resume_point(histories.evidence(JOB, lives, []))
    assert (result.outcome, result.summary) == (Outcome.VALID, "step 4 (known by parameters), 0 steps done again")


def test_an_older_checkpoint_of_the_series_loses_work():
    """`step-2` was loaded though `step-4` was whole."""
    result = judged(at=5, resume=2, loads="ckpt/step-2.pt")
    assert result.outcome == Outcome.INVALID
    assert result.summary == (
        "rank 0 in incarnation 1 went on from step 2, though ckpt/step-4.pt of step 4 was complete: "
        "2 steps lost needlessly"
    )
    assert result.violations[0].reason is None


def test_beginning_anew_though_there_was_a_checkpoint_is_invalid():
    """A job that forgets to load says so in these words."""
    result = judged(at=5, resume=0, loads=None)
    assert result.outcome == Outcome.INVALID
    assert (
        result.summary == "rank 0 in incarnation 1 started from scratch, though ckpt/step-4.pt of step 4 was complete"
    )
    assert result.violations[0].explanation == "it loaded no checkpoint"


@pytest.mark.parametrize(
    ("resume", "loads", "expected"),
    [
        pytest.param(
            2, "ckpt/step-4.pt", "step 2 (known by parameters), 5 steps done again", id="handed over at step 2"
        ),
        pytest.param(
            0, None, "rank 0 in incarnation 1 started from scratch, though ckpt/step-4.pt was complete", id="lost"
        ),
    ],
)
def test_what_a_thread_wrote_may_be_of_an_earlier_step(resume, loads, expected):
    """That it was there and was not used is sure all the same."""
    first = histories.group(JOB, histories.killed(JOB, 7), incarnation=0)
    lives = [replace(life, loads=loads) for life in histories.resumed(JOB, resume)]
    second = histories.group(JOB, lives, incarnation=1)
    written = [
        msgspec.structs.replace(line, writer="thread") if isinstance(line, Save) else line for line in first[0].records
    ]
    first[0] = msgspec.structs.replace(first[0], records=tuple(written))
    history = histories.history("faulted", [*first, *second])
    assert resume_point(histories.of_histories(history, JOB, [])).summary == expected


def test_beginning_anew_after_a_restart_that_loaded_a_checkpoint_is_invalid():
    """It is still there."""
    groups = [histories.killed(JOB, 5), histories.killed(JOB, 5, base=4), histories.resumed(JOB, 0)]
    result = resume_point(histories.evidence(JOB, groups, []))
    assert (result.outcome, result.violations[0].problem.path) == (Outcome.INVALID, "ckpt/step-4.pt")


def test_an_older_file_that_was_read_too_does_not_explain_where_a_process_goes_on():
    """The initial weights are in a series of their own; of the other one a newer checkpoint was there."""
    first = histories.group(JOB, histories.killed(JOB, 5), incarnation=0)
    start, *rest = first[0].records
    lines = (start, *saved("ckpt/initial.pt"), *rest, *saved("ckpt/step-5.pt"), *saved("log"))
    first[0] = histories.with_lines(msgspec.structs.replace(first[0], records=lines), ())
    second = histories.group(JOB, histories.resumed(JOB, 4), incarnation=1)
    start, *rest = second[0].records
    lines = (start, Load(sequence=0, time_ns=0, path="ckpt/initial.pt"), *rest)
    second[0] = histories.with_lines(msgspec.structs.replace(second[0], records=lines), ())
    result = resume_point(histories.of_histories(histories.history("faulted", [*first, *second]), JOB, []))
    assert [violation.rank for violation in result.violations] == [0, 1]


def test_beginning_anew_without_any_checkpoint_is_right():
    """A job that had not come to its first checkpoint cannot do better."""
    result = judged(at=5, resume=0, loads=None, job=replace(JOB, save_every=10))
    assert (result.outcome, result.summary) == (
        Outcome.VALID,
        "started from scratch: no checkpoint existed; 5 steps done again",
    )


def test_beginning_anew_in_a_job_that_never_saves_proves_nothing():
    """Or that saves in a way that nobody sees, and perhaps looks for it in another place."""
    result = judged(at=5, resume=0, loads=None, job=replace(JOB, save_every=100))
    assert result.outcome == Outcome.UNKNOWN
    assert "rank 0 in incarnation 1 started from scratch, and no run was seen to save a checkpoint" in result.summary


def test_beginning_anew_in_a_job_that_saves_at_its_end_alone_proves_nothing():
    """That is its result, from which nobody can go on."""
    job = replace(JOB, save_every=100)
    reference = histories.reference(job, 1)
    with_result = msgspec.structs.replace(reference, processes=tuple(map(with_saved_end, reference.processes)))
    groups = [histories.killed(job, 5), histories.resumed(job, 0)]
    run = histories.evidence(job, groups, []).faulted.history
    result = resume_point(histories.of_histories(run, job, [], first=with_result, second=with_result))
    assert result.outcome == Outcome.UNKNOWN


def with_saved_end(process: Process) -> Process:
    *rest, end = process.records
    return histories.with_lines(msgspec.structs.replace(process, records=(*rest, *saved("final.pt"), end)), ())


def keyed(name: str) -> tuple[AnyRecord, ...]:
    """A checkpoint of several keys."""
    begin, *rest = saved(name)
    content = {key: Fingerprint(whole="1", num_whole=1) for key in ("model", "optimizer", "epoch")}
    return msgspec.structs.replace(begin, fingerprints=content), *rest


@pytest.mark.parametrize(
    ("num_last", "expected"), [(3, Outcome.INVALID), (1, Outcome.VALID)], ids=["regular", "now and then"]
)
def test_who_goes_on_from_the_best_one_loses_what_the_last_one_holds(num_last: int, expected: Outcome) -> None:
    """They hold the same, and one of them is written more often: the other is not the one to go on from."""
    job = replace(JOB, save_every=100)
    first = histories.group(job, histories.killed(job, 5), incarnation=0)
    lines = list(first[0].records)
    steps = [number for number, line in enumerate(lines) if isinstance(line, Step)]
    lines[steps[3] + 1 : steps[3] + 1] = [line for _ in range(num_last) for line in keyed("last.pt")]
    lines[steps[1] + 1 : steps[1] + 1] = keyed("best.pt")
    first[0] = histories.with_lines(msgspec.structs.replace(first[0], records=tuple(lines)), ())
    second = histories.group(job, [replace(life, loads="best.pt") for life in histories.resumed(job, 2)], incarnation=1)
    run = histories.history("faulted", [*first, *second])
    assert resume_point(histories.of_histories(run, job, [])).outcome == expected


@pytest.mark.parametrize("loads", [histories.path_of(2), "latest"], ids=["its name", "a link"])
def test_who_goes_on_from_an_old_one_is_found_by_whatever_name(loads: str) -> None:
    """That `best.pt` is as old is no excuse: content tells what a link led to."""
    first = histories.group(JOB, histories.killed(JOB, 5), incarnation=0)
    lines = list(first[0].records)
    steps = [number for number, line in enumerate(lines) if isinstance(line, Step)]
    lines[steps[0] + 1 : steps[0] + 1] = saved("best.pt")
    first[0] = histories.with_lines(msgspec.structs.replace(first[0], records=tuple(lines)), ())
    second = histories.group(JOB, [replace(life, loads=loads) for life in histories.resumed(JOB, 2)], incarnation=1)
    run = with_states(histories.history("faulted", [*first, *second]))
    assert resume_point(histories.of_histories(run, JOB, [])).outcome == Outcome.INVALID


DRAWN = ("tmpqvkz/state.pt", "tmpwjhx/state.pt"), "bucket/a.pt"
BUFFERS = ("", ""), ""


def carried_elsewhere(
    paths: tuple[str, str], loads: str, *, resume: int, killed: int = 5, is_renamed: bool = False
) -> CheckResult:
    """Of a job that saves under the first path after 2 steps and else under the second, and reads under another name."""

    def moved(process: Process) -> Process:
        lines = [
            msgspec.structs.replace(line, path=paths[line.path != "ckpt/.new-2"]) if isinstance(line, Save) else line
            for line in process.records
            if is_renamed or not isinstance(line, Rename)
        ]
        return histories.with_lines(msgspec.structs.replace(process, records=tuple(lines)), ())

    lives = [replace(life, loads=loads if resume else None) for life in histories.resumed(JOB, resume)]
    groups = enumerate([histories.killed(JOB, killed), lives])
    run = histories.history("faulted", [one for n, own in groups for one in histories.group(JOB, own, incarnation=n)])
    runs = [run, histories.reference(JOB, 1), histories.reference(JOB, 2)]
    faulted, first, second = (
        with_states(msgspec.structs.replace(one, processes=tuple(map(moved, one.processes)))) for one in runs
    )
    return resume_point(histories.of_histories(faulted, JOB, [], first=first, second=second))


@pytest.mark.parametrize(("resume", "is_noted"), [(2, True), (4, False)], ids=["older", "newest"])
@pytest.mark.parametrize(("paths", "loads"), [DRAWN, BUFFERS], ids=["folders with drawn names", "buffers"])
def test_what_was_carried_elsewhere_unseen_accuses_nobody_and_is_told(
    paths: tuple[str, str], loads: str, resume: int, *, is_noted: bool
) -> None:
    """As by Ray Train, and to a store of objects: a newer one may not have been whole where it was carried to."""
    result = carried_elsewhere(paths, loads, resume=resume)
    note = "the job went on from step 2, and had saved after 4 steps"
    assert result.outcome == Outcome.VALID
    assert [text.startswith(note) for text in result.notes] == [True] * is_noted


def test_a_buffer_that_is_written_and_renamed_is_a_file() -> None:
    """Here the job was killed before its first one."""
    result = carried_elsewhere(*BUFFERS, resume=0, killed=1, is_renamed=True)
    assert result.outcome == Outcome.VALID, result.summary


def test_beginning_anew_in_a_job_that_saves_to_buffers_alone_proves_nothing() -> None:
    """Nobody saw whether they were written to anything that outlives a process."""
    result = carried_elsewhere(*BUFFERS, resume=0)
    assert result.outcome == Outcome.UNKNOWN
    assert "no run was seen to save a checkpoint to a file" in result.summary


def test_a_job_that_was_killed_before_its_first_step_has_nothing_to_save():
    """It begins anew, and nothing is lost."""
    job = replace(JOB, save_every=100)
    groups = [histories.killed(job, 0), histories.resumed(job, 0)]
    assert resume_point(histories.evidence(job, groups, [])).outcome == Outcome.VALID


def test_a_job_that_saves_where_nobody_sees_it_goes_on_from_where_its_parameters_say():
    """No save was seen, and none is missed."""
    result = judged(at=5, resume=4, loads=None, job=replace(JOB, save_every=100))
    assert (result.outcome, result.summary) == (Outcome.VALID, "step 4 (known by parameters), 1 step done again")


def test_restarts_are_told_in_their_order():
    """Each with what was done again."""
    groups = [histories.killed(JOB, 5), histories.killed(JOB, 8, base=4), histories.resumed(JOB, 6)]
    expected = "step 4 (known by parameters), 1 step done again, step 6 (known by parameters), 2 steps done again"
    assert resume_point(histories.evidence(JOB, groups, [])).summary == expected


def test_a_rank_that_is_new_has_done_nothing_before():
    """It goes on where the others do, in a larger group."""
    other = Job(num_samples=32, world_size=4)
    groups = [histories.killed(JOB, 5), histories.resized(JOB, other, 4)]
    assert resume_point(histories.evidence(JOB, groups, [], other)).outcome == Outcome.VALID


def test_beginning_anew_is_no_excuse_because_of_an_older_file():
    """The initial weights were saved too, before the first step, and a later checkpoint was there."""
    first = histories.group(JOB, histories.killed(JOB, 5), incarnation=0)
    start, *rest = first[0].records
    lines = (start, *saved("ckpt/initial.pt"), *rest)
    first[0] = histories.with_lines(msgspec.structs.replace(first[0], records=lines), ())
    second = histories.group(JOB, histories.resumed(JOB, 0), incarnation=1)
    history = histories.history("faulted", [*first, *second])
    assert resume_point(histories.of_histories(history, JOB, [])).outcome == Outcome.INVALID


def test_beginning_anew_with_a_renamed_log_is_right():
    """A file that torch did not save is no checkpoint."""
    job = replace(JOB, save_every=10)
    first = histories.group(job, histories.killed(job, 5), incarnation=0)
    rename = Rename(sequence=0, time_ns=0, source="log", target="log.1")
    first[0] = histories.with_lines(first[0], [rename, rename])
    second = histories.group(job, histories.resumed(job, 0), incarnation=1)
    history = histories.history("faulted", [*first, *second])
    assert resume_point(histories.of_histories(history, job, [])).outcome == Outcome.VALID


def test_a_checkpoint_that_the_writer_did_not_survive_may_be_passed_over():
    """Its pointer or marker may not have been written."""
    at_once = replace(JOB, save_every=3)
    first = histories.killed(at_once, 6)
    file = [Save(sequence=0, time_ns=0, path="ckpt/step-6.pt", phase=phase) for phase in ("begin", "end")]
    processes = histories.group(at_once, first, incarnation=0)
    second = histories.resumed(at_once, 3)
    history = histories.history(
        "faulted",
        [
            histories.with_lines(processes[0], file),
            processes[1],
            *histories.group(at_once, second, incarnation=1),
        ],
    )
    assert resume_point(histories.of_histories(history, at_once, [])).outcome == Outcome.VALID


def with_files(*lines: Save | Rename | Load, rank: int = 0, loads: str, resume: int = 4) -> CheckResult:
    """Rank `rank` wrote further files before the kill."""
    first = histories.group(JOB, histories.killed(JOB, 5), incarnation=0)
    first[rank] = histories.with_lines(first[rank], lines)
    second = histories.group(
        JOB, [replace(life, loads=loads) for life in histories.resumed(JOB, resume)], incarnation=1
    )
    return resume_point(histories.of_histories(histories.history("faulted", [*first, *second]), JOB, []))


def saved(path: str) -> list[Save]:
    return [Save(sequence=0, time_ns=0, path=path, phase=phase) for phase in ("begin", "end")]


@pytest.mark.parametrize("loads", ["ckpt/step-4.pt", ""])
def test_a_file_of_another_series_raises_no_alarm(loads):
    """`best.pt` is newer than the checkpoint that was loaded, by whatever name, and is for something else."""
    assert with_files(*saved("ckpt/best.pt"), *saved("log"), loads=loads).outcome == Outcome.VALID


def test_a_newer_file_of_the_series_raises_one():
    """The same with a name of the series."""
    assert with_files(*saved("ckpt/step-5.pt"), *saved("log"), loads="ckpt/step-4.pt").outcome == Outcome.INVALID


def test_a_checkpoint_in_shards_is_whole_when_all_ranks_have_written():
    """Rank 1 wrote its shard of step 4 too; of step 5 only rank 0 did."""
    shards = [*saved("ckpt/step-5.pt"), *saved("log")]
    first = histories.group(JOB, histories.killed(JOB, 5), incarnation=0)
    writer = [line for line in first[0].records if isinstance(line, Save | Rename)]
    step_lines = list(first[1].records)
    step_lines[-4:-4] = writer[3:6]
    first[1] = histories.with_lines(msgspec.structs.replace(first[1], records=tuple(step_lines)), ())
    first[0] = histories.with_lines(first[0], shards)
    second = histories.group(JOB, histories.resumed(JOB, 4), incarnation=1)
    history = histories.history("faulted", [*first, *second])
    assert resume_point(histories.of_histories(history, JOB, [])).outcome == Outcome.VALID


def in_parts(names: Sequence[str], job: Job, *, resume: int, killed: int = 6, is_whole: bool = False) -> CheckResult:
    """Each rank writes a part of its own at every third step; rank 1 was killed before it wrote its last one."""
    groups = [histories.killed(job, killed), histories.resumed(job, resume)]
    processes = []
    for incarnation, lives in enumerate(groups):
        for rank, process in enumerate(histories.group(job, lives, incarnation=incarnation)):
            lines, num_steps = list[AnyRecord](), resume if incarnation else 0
            for line in process.records:
                lines.append(line)
                num_steps += isinstance(line, Step)
                is_there = incarnation or rank == 0 or num_steps < killed or is_whole
                if isinstance(line, Step) and num_steps % 3 == 0 and is_there:
                    lines += saved(f"{names[rank]}-{num_steps}.pt")
            if incarnation and resume:
                lines.insert(1, Load(sequence=0, time_ns=0, path=f"{names[rank]}-{resume}.pt"))
            processes.append(histories.with_lines(msgspec.structs.replace(process, records=tuple(lines)), saved("log")))
    return resume_point(histories.of_histories(histories.history("faulted", processes), job, []))


@pytest.mark.parametrize("names", [("part-0", "part-1"), ("encoder", "decoder")], ids="-".join)
@pytest.mark.parametrize(("killed", "resume"), [(6, 3), (3, 0)], ids=["newest", "first"])
def test_a_checkpoint_in_parts_is_not_whole_because_its_like_was_made_later(names, killed, resume):
    """Rank 1 was killed between the two: who goes on saves at that step again, both parts."""
    job = replace(JOB, save_every=100)
    assert in_parts(names, job, killed=killed, resume=resume).outcome == Outcome.VALID
    assert in_parts(names, job, killed=killed, resume=resume, is_whole=True).outcome == Outcome.INVALID


@pytest.mark.parametrize(("num", "outcome"), [(4, Outcome.VALID), (5, Outcome.INVALID)])
def test_what_a_rank_left_in_a_folder_that_another_one_was_to_rename_is_no_checkpoint(num: int, outcome: Outcome):
    """Rank 0 was killed before it wrote its part of step 5, and so before it renamed the folder; or after it."""
    job = replace(JOB, save_every=100)
    moves = [Rename(sequence=0, time_ns=0, source=f"tmp-{step}", target=f"ckpt-{step}") for step in (2, num)]
    first = histories.group(job, histories.killed(job, 5), incarnation=0)
    first[0] = histories.with_lines(first[0], moves)
    first[1] = histories.with_lines(first[1], [*saved("tmp-5/random.pt"), *saved("log")])
    second = histories.group(job, histories.resumed(job, 0), incarnation=1)
    history = histories.history("faulted", [*first, *second])
    assert resume_point(histories.of_histories(history, job, [])).outcome == outcome


def test_going_on_from_a_step_that_was_never_done_is_invalid():
    """Rank 1 cannot resume at a step that it has not reached."""
    first = histories.killed(JOB, 8)
    first[1] = replace(first[1], stop_after=5)
    result = resume_point(histories.evidence(JOB, [first, histories.resumed(JOB, 8)], []))
    assert result.outcome == Outcome.INVALID
    assert result.summary == "rank 1 in incarnation 1 went on from step 8, though it had done only 5"


@pytest.mark.parametrize("stop", [None, 3])
def test_no_restart_is_not_applicable(stop):
    """There is no resume point."""
    lives = [Life(epochs=JOB.epochs_from(r, 0), stop_after=stop) for r in (0, 1)]
    assert resume_point(histories.evidence(JOB, [lives], [])).outcome == Outcome.NOT_APPLICABLE


def fault(text: str) -> PlannedFault:
    return resolve([parse_fault(text)], world_size=2, seed=0)[0]


def preempted(*, at: int) -> CheckResult:
    """The notice came after `at` steps; the job went on after 4."""
    planned = fault("preempt@step=4:rank=1")
    return resume_point(histories.of_histories(histories.hit(JOB, planned, at=at), JOB, [planned]))


def test_a_preempted_job_goes_on_from_its_emergency_checkpoint():
    """Nothing that was done when the notice came is lost."""
    assert preempted(at=4).outcome == Outcome.VALID


def test_a_preempted_job_without_an_emergency_checkpoint_is_invalid():
    """It loaded the newest one, but had time to write a newer one."""
    result = preempted(at=5)
    assert result.outcome == Outcome.INVALID
    assert (
        result.summary == "rank 0 went on from step 4, though 5 steps were done when the notice of the preemption came"
    )
    assert result.violations[0].explanation == "the job left no emergency checkpoint in the time of grace"


@pytest.mark.parametrize(
    ("later", "is_wasted"),
    [
        pytest.param([], False, id="nobody went on"),
        pytest.param([histories.resumed(JOB, 8)], False, id="where it came"),
        pytest.param([histories.resumed(JOB, 6)], True, id="before it"),
        pytest.param([histories.killed(JOB, 9, base=6), histories.resumed(JOB, 8)], True, id="before it at first"),
    ],
)
def test_a_notice_is_wasted_by_what_comes_next_alone(later, is_wasted):
    """An earlier restart went on from an older checkpoint, and could not know of it."""
    planned = fault("preempt@step=7:rank=1")
    first = histories.group(JOB, histories.killed(JOB, 5), incarnation=0)
    second = histories.group(JOB, histories.killed(JOB, 8, base=4, rank=-1, saves_last=True), incarnation=1)
    second[1] = histories.with_lines(second[1], [FaultFired(sequence=0, time_ns=0, fault=0, kind="preempt")])
    rest = [one for number, lives in enumerate(later, 2) for one in histories.group(JOB, lives, incarnation=number)]
    history = histories.history("faulted", [*first, *second, *rest])
    violations = resume_point(histories.of_histories(history, JOB, [planned])).violations
    assert is_wasted == any(isinstance(violation.problem, NoticeWasted) for violation in violations)


@pytest.mark.parametrize(
    ("path", "outcome"), [("ckpt/step-4.pt", Outcome.VALID), ("ckpt/step-2.pt", Outcome.INVALID), ("", Outcome.INVALID)]
)
def test_only_a_damaged_checkpoint_may_be_passed_over(path, outcome):
    """`step-4` was the newest; that it was damaged is the reason to go on from `step-2`."""
    planned = fault("torn@step=4:rank=1")
    first = [process for process in histories.hit(JOB, planned, path=path).processes if process.incarnation == 0]
    lives = [replace(life, loads="ckpt/step-2.pt") for life in histories.resumed(JOB, 2)]
    second = histories.group(JOB, lives, incarnation=1)
    history = histories.history("faulted", [*first, *second])
    assert outcome == resume_point(histories.of_histories(history, JOB, [planned])).outcome


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize(
    ("path", "outcome"), [("ckpt/__1_0.distcp", Outcome.VALID), ("other/__1_0.distcp", Outcome.INVALID)]
)
def test_a_folder_with_a_damaged_file_is_whole_on_no_rank(rank, path, outcome):
    """All ranks wrote into it, and one of them damaged its own part."""
    fired = FaultFired(sequence=0, time_ns=0, fault=0, kind="torn", path=path)
    job = replace(JOB, save_every=100)
    first = [
        histories.with_lines(process, [*saved("ckpt"), *([fired] if process.rank == rank else [LOG])])
        for process in histories.group(job, histories.killed(job, 5), incarnation=0)
    ]
    second = histories.group(job, histories.resumed(job, 0), incarnation=1)
    history = histories.history("faulted", [*first, *second])
    assert outcome == resume_point(histories.of_histories(history, job, [])).outcome


def over(*phases: str) -> list[AnyRecord]:
    return [Save(sequence=0, time_ns=0, path="latest.pt", phase=phase) for phase in phases]


def test_beginning_anew_after_a_half_written_checkpoint_has_its_reason():
    """There was a whole one, until its writer began to write the next one over it."""
    job = replace(JOB, save_every=100)
    first = histories.group(job, histories.killed(job, 5), incarnation=0)
    first[0] = histories.with_lines(first[0], over("begin", "end", "begin"))
    second = histories.group(job, histories.resumed(job, 0), incarnation=1)
    history = histories.history("faulted", [*first, *second])
    result = resume_point(histories.of_histories(history, job, []))
    assert (result.outcome, result.violations[0].explanation) == (
        Outcome.INVALID,
        "its writer never finished the next one that it wrote over it",
    )


@pytest.mark.parametrize(("is_hit", "outcome"), [(True, Outcome.VALID), (False, Outcome.INVALID)])
def test_a_checkpoint_whose_reading_was_disturbed_may_be_passed_over(is_hit, outcome):
    """The error came from the fault, and the job took it for the file's."""
    planned = fault("exception@load#0:rank=0")
    groups = [histories.killed(JOB, 5), [replace(life, loads="ckpt/step-4.pt") for life in histories.resumed(JOB, 2)]]
    first, second = (histories.group(JOB, lives, incarnation=number) for number, lives in enumerate(groups))
    start, read, *rest = second[0].records
    fired = [FaultFired(sequence=0, time_ns=0, fault=0, kind="exception")] if is_hit else []
    older = Load(sequence=0, time_ns=0, path="ckpt/step-2.pt")
    second[0] = histories.with_lines(
        msgspec.structs.replace(second[0], records=(start, read, *fired, older, *rest)), ()
    )
    history = histories.history("faulted", [*first, *second])
    assert outcome == resume_point(histories.of_histories(history, JOB, [planned])).outcome


def test_a_reading_that_its_rank_did_not_survive_excuses_no_other_rank():
    """The other one took an older file without a reason."""
    first = histories.group(JOB, histories.killed(JOB, 5), incarnation=0)
    lives = [replace(life, loads="ckpt/step-2.pt") for life in histories.resumed(JOB, 2)]
    second = histories.group(JOB, lives, incarnation=1)
    fired = FaultFired(sequence=0, time_ns=0, fault=0, kind="sigkill")
    second[0] = histories.with_lines(msgspec.structs.replace(second[0], records=second[0].records[:2]), [fired])
    history = histories.history("faulted", [*first, *second])
    assert (
        resume_point(histories.of_histories(history, JOB, [fault("sigkill@load#0:rank=0")])).outcome == Outcome.INVALID
    )


GONE = Remove(sequence=0, time_ns=0, path="ckpt/step-4.pt")
GONE_2 = Remove(sequence=0, time_ns=0, path="ckpt/step-2.pt")
NEXT_HALF = Save(sequence=0, time_ns=0, path="ckpt/step-6.pt", phase="begin")
NEXT_WHOLE = [NEXT_HALF, Save(sequence=0, time_ns=0, path="ckpt/step-6.pt", phase="end"), LOG]


def test_what_was_still_there_is_named_before_what_was_removed():
    """A newer checkpoint is gone; that the older one was not taken is the mistake."""
    removed = Remove(sequence=0, time_ns=0, path="ckpt/step-6.pt")
    result = with_files(*NEXT_WHOLE, removed, LOG, resume=2, loads="ckpt/step-2.pt")
    assert (result.outcome, result.violations[0].problem.path) == (Outcome.INVALID, "ckpt/step-4.pt")


@pytest.mark.parametrize(
    ("rank", "lines", "resume", "expected"),
    [
        pytest.param(0, [GONE_2, GONE, NEXT_HALF], 0, "removed ckpt/step-4.pt", id="before the next is whole"),
        pytest.param(1, [GONE_2, GONE], 0, "removed ckpt/step-4.pt", id="by another rank"),
        pytest.param(0, [GONE, NEXT_HALF], 2, "removed ckpt/step-4.pt", id="an older one was left"),
        pytest.param(0, [*NEXT_WHOLE, GONE], 6, "", id="after the next was whole"),
        pytest.param(0, [GONE, *NEXT_WHOLE], 6, "", id="before it, and nothing came in between"),
        pytest.param(0, [msgspec.structs.replace(GONE, path="ckpt")], 0, "ckpt/step-4.pt", id="with its folder"),
        pytest.param(0, [GONE_2], 4, "", id="an older one"),
    ],
)
def test_a_checkpoint_is_not_to_be_removed_before_there_is_another(rank, lines, resume, expected):
    """What was there once could have been gone on from."""
    first = histories.group(JOB, histories.killed(JOB, 6), incarnation=0)
    first[rank] = histories.with_lines(first[rank], lines)
    lives = [
        replace(life, loads=f"ckpt/step-{resume}.pt" if resume else None) for life in histories.resumed(JOB, resume)
    ]
    second = histories.group(JOB, lives, incarnation=1)
    result = resume_point(histories.of_histories(histories.history("faulted", [*first, *second]), JOB, []))
    assert (bool(expected), True) == (
        result.outcome is Outcome.INVALID,
        expected in "".join(violation.explanation for violation in result.violations),
    ), result.summary


def test_what_was_removed_after_the_restart_could_have_been_gone_on_from():
    """It went on from an older file, and then made room: that it removes too soon is not what is wrong."""
    first = histories.group(JOB, histories.killed(JOB, 6), incarnation=0)
    lives = [replace(life, loads="ckpt/step-2.pt") for life in histories.resumed(JOB, 2)]
    second = histories.group(JOB, lives, incarnation=1)
    second[0] = histories.with_lines(second[0], [GONE])
    result = resume_point(histories.of_histories(histories.history("faulted", [*first, *second]), JOB, []))
    assert (
        result.outcome,
        "remove a checkpoint once" in "".join(violation.advice for violation in result.violations),
    ) == (Outcome.INVALID, False)
