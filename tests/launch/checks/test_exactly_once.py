from dataclasses import replace

import msgspec
import pytest

from resumable.launch.checks.exactly_once import exactly_once
from resumable.launch.evidence.history import History
from resumable.launch.evidence.rank_records import Loader
from resumable.launch.outcome import Outcome
from resumable.launch.reading.evidence import gather
from resumable.launch.reading.outcome import CheckResult
from tests.launch import histories
from tests.launch.histories import Job, Life

JOB = Job(num_samples=32)


def test_an_exact_resume_loses_and_repeats_nothing():
    """Work that was done again replaces the work that was lost."""
    result = exactly_once(histories.one_kill(JOB, at=7, resume=4))
    assert (result.outcome, result.summary) == (Outcome.VALID, "96 samples in 3 epochs, none lost, none too often")


def test_a_skipped_batch_is_lost():
    """The samples that nobody trained on are named."""
    result = exactly_once(histories.one_kill(JOB, at=5, resume=4, rank1=lambda epochs: [epochs[0][1:], *epochs[1:]]))
    assert (result.outcome, result.summary) == (Outcome.INVALID, "epoch 0: 2 samples lost")
    assert tuple(sorted(JOB.epoch(1, 0)[4])) == tuple(sorted(result.violations[0].lost))


def test_a_batch_trained_on_twice_is_too_often():
    """A replay that the parameters do not explain repeats samples."""
    again = [JOB.epoch(1, 0)[3], *JOB.epoch(1, 0)[4:]]
    result = exactly_once(histories.one_kill(JOB, at=5, resume=4, rank1=lambda epochs: [again, *epochs[1:]]))
    assert (result.outcome, result.summary) == (Outcome.INVALID, "epoch 0: 2 samples trained on too often")


def test_ranks_may_not_train_on_each_others_samples():
    """Rank 0's samples on rank 1 are both lost and repeated."""
    result = exactly_once(
        histories.one_kill(JOB, at=5, resume=4, rank1=lambda epochs: [JOB.epoch(0, 0)[4:], *epochs[1:]])
    )
    assert (result.outcome, result.summary) == (
        Outcome.INVALID,
        "epoch 0: 8 samples lost and 8 samples trained on too often",
    )


def test_an_order_of_another_rank_count_is_no_loss():
    """On other ranks the same samples are trained on, apart from padding."""
    job = replace(JOB, num_samples=33)
    other = replace(job, world_size=4)
    groups = [histories.killed(job, 5), histories.resized(job, other, 4)]
    assert exactly_once(histories.evidence(job, groups, [], other)).outcome == Outcome.VALID


def test_a_loss_on_another_number_of_ranks_is_seen():
    """The tolerance for padding does not cover a sample that nobody trained on."""
    other = replace(JOB, world_size=4)
    lives = [Life(epochs=life.epochs, base=4) for life in histories.resized(JOB, other, 4)]
    lives[2] = replace(lives[2], epochs=[lives[2].epochs[0][1:], *lives[2].epochs[1:]])
    result = exactly_once(histories.evidence(JOB, [histories.killed(JOB, 5), lives], [], other))
    assert (result.outcome, result.summary) == (Outcome.INVALID, "epoch 0: 2 samples lost")


def with_sampler(history: History, sampler: str) -> History:
    """The history with another class of sampler in its loader lines."""
    processes = [
        msgspec.structs.replace(
            process,
            records=tuple(
                msgspec.structs.replace(line, sampler=sampler) if isinstance(line, Loader) else line
                for line in process.records
            ),
        )
        for process in history.processes
    ]
    return msgspec.structs.replace(history, processes=tuple(processes))


def judged_reference(epochs: list[list[list[list[int]]]], sampler: str) -> CheckResult:
    """A job that trains on these epochs, the same in the references and after the restart."""
    job = replace(JOB, num_epochs=len(epochs[0]))
    lives = [Life(epochs=own) for own in epochs]
    pair = [
        histories.history(
            f"reference-{n}", [histories.process(job, life, rank=r, incarnation=0) for r, life in enumerate(lives)]
        )
        for n in (1, 2)
    ]
    whole = histories.one_kill(job)
    histories_ = [with_sampler(history, sampler) for history in (*pair, pair[0])]
    return exactly_once(gather(whole.plan, whole.scenario, histories_[:2], histories_[2]))


@pytest.mark.parametrize(
    ("sampler", "outcome"),
    [
        ("MyDistributedSampler", Outcome.INVALID),
        ("DistributedWeightedSampler", Outcome.VALID),
        ("RandomSampler", Outcome.VALID),
        ("WeightedRandomSampler", Outcome.VALID),
        ("", Outcome.VALID),
    ],
)
def test_an_order_that_is_no_permutation_is_blamed_only_if_it_should_be_one(sampler, outcome):
    """Drawing with replacement is no bug; a distributed sampler that repeats samples beyond padding is one."""
    epochs = [[JOB.epoch(0, 0), JOB.epoch(0, 1)], [[JOB.epoch(0, 0)[0], *JOB.epoch(1, 0)[1:]], JOB.epoch(1, 1)]]
    assert outcome == judged_reference(epochs, sampler).outcome


def test_padding_is_no_repeat():
    """An epoch that does not divide evenly is padded with its own samples."""
    job = replace(JOB, num_samples=33)
    assert exactly_once(histories.one_kill(job)).outcome == Outcome.VALID
