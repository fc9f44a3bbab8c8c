"""A job that ended for a cause outside the plan proves nothing about what comes later."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from resumable.launch.evidence.history import History
from resumable.launch.evidence.node_records import NodeEnded, RankEnded, RankHung
from resumable.launch.evidence.rank_records import AnyRecord, Backward, Error, Exit, SkippedStep, Step
from resumable.launch.explain.outcome import Outcome
from resumable.launch.judge.verdict import Verdict, judge_evidence
from tests.launch import histories
from tests.launch.changes import changed, fields, same
from tests.launch.histories import Job, Life

JOB = Job(num_samples=32)
LOST = Exit(
    sequence=0,
    time_ns=9,
    reason="exception",
    code=1,
    message="RuntimeError: Connection closed by peer",
    error=Error(type="builtins.RuntimeError", module="torch.distributed.distributed_c10d"),
)
FAILED = (NodeEnded(node=0, outcome="failed", time_ns=1),)


def history_of(groups: list[list[Life]], **changes: object) -> History:
    """Rank 0 of every group that did not finish lost its connection."""
    known: dict[int, str] = {}
    processes = []
    for incarnation, lives in enumerate(groups):
        group = histories.group(JOB, lives, incarnation=incarnation, known=known)
        cut = lives[0].stop_after is not None
        processes += [histories.with_lines(group[0], [LOST]) if cut else group[0], *group[1:]]
    return histories.history("faulted", processes, **changes)


def hung(rank: int, incarnation: int) -> RankHung:
    return RankHung(
        incarnation=incarnation,
        rank=rank,
        pid=1000 * incarnation + rank,
        silent_s=60.0,
        is_stopped=False,
        stacks=[],
        time_ns=1,
        place="train.py:19",
    )


def judged(history: History) -> Verdict:
    return judge_evidence(histories.of_histories(history, JOB, [histories.sigkill(9)]))


def test_a_hang_that_used_up_the_restart_heads_the_verdict():
    """The planned kill came to the second life, and nothing started a third: nothing is lost or truncated by the job."""
    groups = [histories.killed(JOB, 1, rank=-1), histories.killed(JOB, 10)]
    verdict = judged(history_of(groups, hangs=(hung(1, 0),), ends=FAILED))
    expected = (
        "progress: rank 1 died unplanned in incarnation 0 after 1 step: made no progress for 60 s at train.py:19 and was "
        "ended by the hang watch; nothing had been done to it yet: see its log, faulted/logs/i000/rank1.err"
    )
    assert (Outcome.UNKNOWN, expected) == (verdict.outcome, verdict.reason)


@pytest.mark.parametrize("num_steps", [1, 3, 6])
def test_a_kill_from_outside_after_the_restart_heads_the_verdict(num_steps: int):
    """What it has not done is not lost; the parameters that it ends with are not those of its end."""
    groups = [histories.killed(JOB, 10), histories.killed(JOB, 8 + num_steps, base=8, rank=-1)]
    end = RankEnded(incarnation=1, rank=1, pid=1001, time_ns=1, exit_code=-9)
    verdict = judged(history_of(groups, rank_ends=(end,), ends=FAILED))
    assert (verdict.outcome, verdict.reason.startswith("progress: rank 1 died unplanned")) == (Outcome.UNKNOWN, True)
    outcomes = {report.name: report.result.outcome for report in verdict.checks}
    assert Outcome.INVALID not in outcomes.values()


def test_what_went_wrong_before_it_stays_proved():
    """A batch that was skipped after the restart was skipped, whatever ended the job then."""
    lives = histories.killed(JOB, 12, base=8, rank=-1)
    lives[1] = replace(lives[1], epochs=[lives[1].epochs[0][1:], *lives[1].epochs[1:]])
    end = RankEnded(incarnation=1, rank=1, pid=1001, time_ns=1, exit_code=-9)
    verdict = judged(history_of([histories.killed(JOB, 10), lives], rank_ends=(end,), ends=FAILED))
    assert (verdict.outcome, verdict.cause and verdict.cause.check) == (Outcome.INVALID, "rank_sequence")


def test_a_rank_that_ended_well_and_too_soon_is_truncated():
    """It says itself that it was done."""
    lives = [replace(life, epochs=life.epochs[:-1]) for life in histories.resumed(JOB, 8)]
    verdict = judged(history_of([histories.killed(JOB, 10), lives]))
    assert (verdict.outcome, verdict.cause and verdict.cause.check) == (Outcome.INVALID, "rank_sequence")


def test_the_number_of_ranks_excuses_no_sample_of_a_job_that_ended():
    """The same with fewer ranks after the restart: an end in the middle proves nothing, a good end does."""
    small = replace(JOB, world_size=1)
    rest = histories.resized(JOB, small, 8)
    cut = [replace(life, stop_after=3) for life in rest]
    faults = [histories.sigkill(9)]
    whole, ended = (histories.evidence(JOB, [histories.killed(JOB, 10), lives], faults, small) for lives in (rest, cut))
    short = [replace(life, epochs=life.epochs[:-1]) for life in rest]
    truncated = histories.evidence(JOB, [histories.killed(JOB, 10), short], faults, small)
    outcomes = [judge_evidence(evidence).outcome for evidence in (whole, ended, truncated)]
    assert outcomes == [Outcome.VALID, Outcome.UNKNOWN, Outcome.INVALID]


def test_batches_that_the_state_contradicts_accuse_nobody():
    """Losses and parameters are right to the last bit after each step, and yet two batches seem to have changed places."""
    whole = histories.one_kill(JOB).faulted.history
    process = whole.processes[-1]
    seen = [number for number, record in enumerate(process.records) if type(record).__name__ == "Batch"][:2]
    records = list(process.records)
    one, two = (records[number] for number in seen)
    records[seen[0]] = msgspec.structs.replace(one, indices=two.indices)
    records[seen[1]] = msgspec.structs.replace(two, indices=one.indices)
    changed = msgspec.structs.replace(process, records=tuple(records))
    history = msgspec.structs.replace(whole, processes=(*whole.processes[:-1], changed))
    verdict = judge_evidence(histories.of_histories(history, JOB, [histories.sigkill(4)]))
    assert Outcome.UNKNOWN is verdict.outcome
    assert "yet losses and parameters are the uninterrupted run's to the last bit after each of" in verdict.reason
    assert verdict.cause is not None
    assert (verdict.cause.check, verdict.cause.problem.code) == ("rank_sequence", "state_contradicts")


def left_out(line: AnyRecord) -> AnyRecord:
    """A gradient scaler finds gradients that are not finite."""
    return SkippedStep(sequence=0, time_ns=0) if isinstance(line, Step) and line.step == 9 else line


@pytest.mark.parametrize(
    ("noise", "order", "expected"),
    [
        (-1.0, 1, (Outcome.UNKNOWN, "step_left_out")),
        (-1.0, -1, (Outcome.INVALID, "batch_differs")),
        (None, 1, (Outcome.INVALID, "batch_differs")),
    ],
    ids=["by chance", "wrong before", "never by chance"],
)
def test_a_step_that_a_scaler_left_out_in_one_run_alone_accuses_nobody_where_numbers_do_not_repeat(
    noise, order, expected
):
    """A gradient may overflow by chance: the batches behind it are one step early, and were right up to there."""
    exact = histories.one_kill(JOB, rank0=lambda epochs: [batches[::order] for batches in epochs]).faulted.history
    history = changed(exact, left_out, incarnation=1)
    second = changed(histories.reference(JOB, 2), fields(Backward, loss=noise) if noise else same)
    verdict = judge_evidence(histories.of_histories(history, JOB, [histories.sigkill(4)], second=second))
    [problem] = [report.result.problem for report in verdict.checks if report.name == "rank_sequence"]
    assert expected == (verdict.outcome, problem.code)
