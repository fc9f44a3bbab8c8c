from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest

from resumable.launch.checks.exactly_once import exactly_once
from resumable.launch.checks.reference import reference
from resumable.launch.evidence.rank_records import Batch, Loader
from resumable.launch.evidence.recorded_runs import record_plan
from resumable.launch.explain.outcome import Outcome
from resumable.launch.reading.evidence import Evidence, gather
from tests.launch import histories
from tests.launch.changes import Change, changed, fields, same, without
from tests.launch.histories import Epochs, Job, Life

JOB = Job(num_samples=32)
LATER = {"at": 13, "resume": 12}
"""In the middle of the second epoch."""


def test_an_exact_resume_loses_and_repeats_nothing():
    """Work that was done again replaces the work that was lost."""
    result = exactly_once(histories.one_kill(JOB, at=7, resume=4))
    assert (result.outcome, result.summary) == (Outcome.VALID, "96 samples in 3 epochs, none lost, none duplicated")


def test_a_skipped_batch_is_lost():
    """The samples that nobody trained on are named."""
    result = exactly_once(histories.one_kill(JOB, at=5, resume=4, rank1=lambda epochs: [epochs[0][1:], *epochs[1:]]))
    assert (result.outcome, result.summary) == (Outcome.INVALID, "epoch 0: 2 samples lost")
    assert tuple(sorted(JOB.epoch(1, 0)[4])) == tuple(sorted(result.violations[0].lost))


def test_a_batch_trained_on_twice_is_too_often():
    """A replay that the parameters do not explain repeats samples."""
    again = [JOB.epoch(1, 0)[3], *JOB.epoch(1, 0)[4:]]
    result = exactly_once(histories.one_kill(JOB, at=5, resume=4, rank1=lambda epochs: [again, *epochs[1:]]))
    assert (result.outcome, result.summary) == (Outcome.INVALID, "epoch 0: 2 samples duplicated")


def test_ranks_may_not_train_on_each_others_samples():
    """Rank 0's samples on rank 1 are both lost and repeated."""
    result = exactly_once(
        histories.one_kill(JOB, at=5, resume=4, rank1=lambda epochs: [JOB.epoch(0, 0)[4:], *epochs[1:]])
    )
    assert (result.outcome, result.summary) == (
        Outcome.INVALID,
        "epoch 0: 8 samples lost and 8 samples duplicated",
    )
    [violation] = result.violations
    lost, again = (sorted(index for batch in JOB.epoch(rank, 0)[4:] for index in batch) for rank in (1, 0))
    assert (0, lost, again) == (violation.epoch, sorted(violation.lost), sorted(violation.extra))


PADDED = replace(JOB, num_samples=33)


@pytest.mark.parametrize(("before", "after"), [(2, 4), (4, 2), (1, 4)])
def test_an_order_of_another_rank_count_is_no_loss(before: int, after: int):
    """On other ranks the same samples are trained on, apart from padding."""
    job, other = (replace(PADDED, world_size=world_size) for world_size in (before, after))
    groups = [histories.killed(job, 3), histories.resized(job, other, 2)]
    assert exactly_once(histories.evidence(job, groups, [], other)).outcome == Outcome.VALID


def with_last_batch_again(epochs: Epochs) -> Epochs:
    return [[*epochs[0], epochs[0][-1]], *epochs[1:]]


@pytest.mark.parametrize("world_size", [2, 4])
@pytest.mark.parametrize("step", [12, 20])
@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        pytest.param(list, Outcome.VALID, id="exact"),
        pytest.param(lambda epochs: [epochs[0][1:], *epochs[1:]], Outcome.INVALID, id="skipped"),
        pytest.param(lambda epochs: [[epochs[0][0], *epochs[0]], *epochs[1:]], Outcome.INVALID, id="again"),
        pytest.param(with_last_batch_again, Outcome.INVALID, id="again at the end"),
    ],
)
def test_padding_is_of_other_samples_in_each_epoch(
    step: int, world_size: int, change: Callable[[Epochs], Epochs], outcome: Outcome
) -> None:
    """Without a reference whole epochs before the restart, one or two, say what one holds, and how many are padding."""
    other = replace(PADDED, world_size=world_size)
    lives = [Life(epochs=life.epochs, base=step) for life in histories.resized(PADDED, other, step)]
    lives = [
        replace(life, epochs=change(life.epochs)) if rank < world_size - 1 else life for rank, life in enumerate(lives)
    ]
    evidence = histories.evidence(PADDED, [histories.killed(PADDED, step + 1), lives], [], other)
    assert exactly_once(alone(evidence)).outcome == outcome


def test_the_last_batches_once_more_are_no_padding() -> None:
    """It makes the last turn whole: less than a sample of each rank."""
    other = replace(JOB, world_size=4)
    lives = [Life(epochs=life.epochs, base=4) for life in histories.resized(JOB, other, 4)]
    lives[2:] = [replace(life, epochs=[[*life.epochs[0], life.epochs[0][-1]], *life.epochs[1:]]) for life in lives[2:]]
    result = exactly_once(histories.evidence(JOB, [histories.killed(JOB, 5), lives], [], other))
    assert (result.outcome, result.summary) == (Outcome.INVALID, "epoch 0: 4 samples duplicated")


@pytest.mark.parametrize(("batch", "outcome"), [(0, Outcome.INVALID), (-1, Outcome.VALID)])
def test_a_repeat_is_padding_at_the_end_of_an_epoch_alone(batch: int, outcome: Outcome) -> None:
    """On another number of ranks one sample more may make the last turn whole; in mid-epoch it was trained on twice."""
    other = replace(JOB, world_size=4)
    lives = [Life(epochs=life.epochs, base=4) for life in histories.resized(JOB, other, 4)]
    first, *later = lives[2].epochs
    again = list(first)
    again[batch] = [*first[batch], lives[0].epochs[0][0][0]]
    lives[2] = replace(lives[2], epochs=[again, *later])
    assert exactly_once(histories.evidence(JOB, [histories.killed(JOB, 5), lives], [], other)).outcome == outcome


def test_a_loss_on_another_number_of_ranks_is_seen():
    """The tolerance for padding does not cover a sample that nobody trained on."""
    other = replace(JOB, world_size=4)
    lives = [Life(epochs=life.epochs, base=4) for life in histories.resized(JOB, other, 4)]
    lives[2] = replace(lives[2], epochs=[lives[2].epochs[0][1:], *lives[2].epochs[1:]])
    result = exactly_once(histories.evidence(JOB, [histories.killed(JOB, 5), lives], [], other))
    assert (result.outcome, result.summary) == (Outcome.INVALID, "epoch 0: 2 samples lost")


def dropping(*, num_skipped: int) -> Evidence:
    """A job that drops the tail of an epoch goes on with three ranks for two, and skips so many batches of rank 0."""
    job = replace(JOB, num_samples=34)
    other = replace(job, world_size=3)
    whole = [Life(epochs=[job.epoch(r, epoch)[:8] for epoch in range(3)]) for r in (0, 1)]
    rest = [[other.epoch(r, 0, 16), *(other.epoch(r, epoch)[:5] for epoch in (1, 2))] for r in range(3)]
    rest[0][0] = rest[0][0][num_skipped:]
    after = [Life(epochs=own, base=4, start=job.state(4), loads=histories.path_of(4)) for own in rest]
    groups = [[replace(life, stop_after=5) for life in whole], after]
    faulted = histories.evidence(job, groups, [], other).faulted.history
    first, second = (
        histories.history(f"reference-{n}", histories.group(job, whole, incarnation=0, name=f"reference-{n}"))
        for n in (1, 2)
    )
    faulted, first, second = (changed(run, to_dropping) for run in (faulted, first, second))
    return histories.of_histories(faulted, job, [], first=first, second=second)


to_dropping = fields(Loader, drop_last=True)


@pytest.mark.parametrize(
    ("num_skipped", "outcome"), [(0, Outcome.VALID), (1, Outcome.VALID), (2, Outcome.VALID), (3, Outcome.INVALID)]
)
def test_a_tail_that_is_dropped_may_be_another_one(num_skipped: int, outcome: Outcome) -> None:
    """Up to a sample less than a whole step of all ranks; of which samples nobody can say, as each epoch drops others."""
    assert exactly_once(dropping(num_skipped=num_skipped)).outcome == outcome


def repeating(resumed: list[list[list[int]]]) -> Evidence:
    """A job whose rank 1 draws a batch of epoch 0 twice, undisturbed too; `resumed`: what it does afterwards."""
    job = replace(JOB, num_epochs=2)
    own = [[JOB.epoch(1, 0)[1], *JOB.epoch(1, 0)[1:]], JOB.epoch(1, 1)]
    lives = [Life(epochs=[JOB.epoch(0, 0), JOB.epoch(0, 1)]), Life(epochs=own)]
    first, second = (
        histories.history(
            f"reference-{n}",
            histories.group(job, lives, incarnation=0, name=f"reference-{n}"),
        )
        for n in (1, 2)
    )
    before = [
        replace(lives[0], stop_after=5),
        replace(lives[1], stop_after=5, fault=0),
    ]
    after = [
        Life(epochs=[JOB.epoch(0, 0)[4:], JOB.epoch(0, 1)], base=4, loads=histories.path_of(4)),
        Life(epochs=resumed, base=4, loads=histories.path_of(4)),
    ]
    known: dict[int, str] = {}
    processes = [
        process
        for incarnation, lives in enumerate((before, after))
        for process in histories.group(job, lives, incarnation=incarnation, known=known)
    ]
    faulted = histories.history("faulted", processes)
    return histories.of_histories(faulted, job, [histories.sigkill(4)], first=first, second=second)


def test_an_order_that_repeats_samples_without_a_restart_too_is_no_resume_bug():
    """Whatever the sampler's class is called; the check `reference` notes it."""
    evidence = repeating([JOB.epoch(1, 0)[4:], JOB.epoch(1, 1)])
    assert exactly_once(evidence).outcome == Outcome.VALID
    assert "epoch 0 repeats samples, 2 times in all (drawn with replacement?)" in " ".join(reference(evidence).notes)


def test_a_repeat_more_than_the_reference_has_is_found_all_the_same():
    """The order is compared with the reference's, repeats included."""
    result = exactly_once(repeating([[*JOB.epoch(1, 0)[4:7], JOB.epoch(1, 0)[6]], JOB.epoch(1, 1)]))
    assert (result.outcome, result.summary) == (
        Outcome.INVALID,
        "epoch 0: 2 samples lost and 2 samples duplicated",
    )


def test_samples_of_another_epochs_share_are_unexpected():
    """The epoch does not have them at all."""
    job = replace(JOB, num_samples=16)
    result = exactly_once(histories.one_kill(job, rank1=lambda epochs: [[[90, 91], *epochs[0][1:]], *epochs[1:]]))
    assert result.violations[0].sentence == "epoch 1: 2 samples lost and 2 samples unexpected"


def test_batches_are_counted_where_no_index_is_known():
    """And the result says so."""
    evidence = histories.one_kill(JOB)
    runs = [histories.without_indices(run.history) for run in (*evidence.references, evidence.faulted)]
    result = exactly_once(gather(evidence.plan, evidence.scenario, runs[:2], runs[2]))
    assert (result.outcome, result.summary) == (Outcome.VALID, "48 batches in 3 epochs, none lost, none duplicated")


def test_a_batch_that_is_lost_is_so_where_no_index_is_known() -> None:
    """On the same number of ranks it is cut as in the uninterrupted run."""
    evidence = histories.one_kill(JOB, rank1=lambda epochs: [epochs[0][1:], *epochs[1:]])
    runs = [histories.without_indices(run.history) for run in (*evidence.references, evidence.faulted)]
    result = exactly_once(gather(evidence.plan, evidence.scenario, runs[:2], runs[2]))
    assert (result.outcome, result.summary) == (Outcome.INVALID, "epoch 0: 1 batch lost")


@pytest.mark.parametrize(("change", "outcome"), [(without(Batch), Outcome.NOT_APPLICABLE), (same, Outcome.UNKNOWN)])
def test_a_job_of_which_no_batch_was_seen_is_not_judged(change: Change, outcome: Outcome) -> None:
    """Nothing says what it trained on; one that was ended before its first batch has shown nothing."""
    first, second = (changed(histories.reference(JOB, number), change) for number in (1, 2))
    faulted = changed(histories.evidence(JOB, [histories.killed(JOB, 0)], []).faulted.history, change)
    result = exactly_once(histories.of_histories(faulted, JOB, [], first=first, second=second))
    assert result.outcome == outcome


def test_a_run_without_restart_and_without_reference_shows_nothing() -> None:
    """Its epochs are as they are."""
    whole = histories.evidence(JOB, [histories.resumed(JOB, 0)], [])
    assert exactly_once(alone(whole)).outcome == Outcome.NOT_APPLICABLE


def test_padding_is_no_repeat():
    """An epoch that does not divide evenly is padded with its own samples."""
    job = replace(JOB, num_samples=33)
    assert exactly_once(histories.one_kill(job)).outcome == Outcome.VALID


@pytest.mark.parametrize(("is_cut", "outcome"), [(False, Outcome.UNKNOWN), (True, Outcome.VALID)])
def test_what_an_unfinished_job_has_not_done_is_not_lost(is_cut: bool, outcome: Outcome) -> None:
    """Whether it would have been done nobody knows, unless the next fault of the plan has ended it there."""
    groups = [histories.killed(JOB, 5), histories.killed(JOB, 8, base=4)]
    evidence = histories.evidence(JOB, groups, [])
    assert outcome == exactly_once(msgspec.structs.replace(evidence, is_cut=is_cut)).outcome


def side_by_side(evidence: Evidence) -> Evidence:
    """Of a job that reads several loaders at a time, whose epochs have no common border."""
    profile = msgspec.structs.replace(evidence.profile, interleaves_loaders=True)
    return msgspec.structs.replace(evidence, profile=profile)


def test_where_loaders_run_side_by_side_all_epochs_are_counted_together() -> None:
    """And without a reference nothing says what they should hold."""
    whole = histories.one_kill(JOB, **LATER)
    result = exactly_once(side_by_side(whole))
    assert (result.outcome, result.summary) == (Outcome.VALID, "96 samples in 1 epoch, none lost, none duplicated")
    assert exactly_once(side_by_side(alone(whole))).outcome == Outcome.NOT_APPLICABLE


def test_what_is_lost_where_loaders_run_side_by_side_is_of_no_epoch() -> None:
    """It is counted over all of them."""
    result = exactly_once(side_by_side(histories.one_kill(JOB, rank1=lambda epochs: [epochs[0][1:], *epochs[1:]])))
    assert [violation.epoch for violation in result.violations] == [None]
    assert result.summary == "all epochs together: 2 samples lost"


def test_without_a_reference_an_epoch_that_is_not_over_is_not_judged() -> None:
    """What it has not done is not lost."""
    groups = [histories.killed(JOB, 13), histories.killed(JOB, 18, base=12)]
    result = exactly_once(alone(histories.evidence(JOB, groups, [])))
    summary = "64 samples in 2 epochs, each as those before the first restart"
    assert (result.outcome, result.summary) == (Outcome.VALID, summary)


def test_without_a_reference_batches_are_counted_where_no_index_is_known() -> None:
    """On the same number of ranks they are cut as before; this job has the same batches in every epoch."""
    job = replace(JOB, shuffle=False)
    whole = histories.one_kill(job, at=21, resume=20, rank1=lambda epochs: [epochs[0][1:], *epochs[1:]])
    history = histories.without_indices(whole.faulted.history)
    result = exactly_once(alone(histories.of_histories(history, job, [])))
    assert (result.outcome, result.summary) == (Outcome.INVALID, "epoch 2: 1 batch lost")


def alone(whole: Evidence) -> Evidence:
    """The same where nobody has an uninterrupted run."""
    plan = record_plan()
    return gather(plan, plan.scenarios[0], [], whole.faulted.history)


@pytest.mark.parametrize("at", [9, 13, 16, 17, 23])
def test_epochs_after_a_restart_are_as_those_before_it(at: int) -> None:
    """At whichever place it was killed, the border of an epoch included."""
    result = exactly_once(alone(histories.one_kill(JOB, at=at, resume=at - 1)))
    summary = "96 samples in 3 epochs, each as those before the first restart"
    assert (result.outcome, result.summary) == (Outcome.VALID, summary)


@pytest.mark.parametrize(
    ("change", "summary"),
    [
        (lambda epochs: [epochs[0][1:], *epochs[1:]], "epoch 1: 2 samples lost"),
        (lambda epochs: [[epochs[0][0], *epochs[0]], *epochs[1:]], "epoch 1: 2 samples duplicated"),
        (lambda epochs: [epochs[0], *(epoch[4:] for epoch in epochs[1:])], "epoch 2: 8 samples lost"),
    ],
    ids=["skipped", "again", "next epoch cut short"],
)
def test_without_a_reference_a_loss_is_seen_too(change: Callable[[Epochs], Epochs], summary: str) -> None:
    """The whole epochs before the restart say what an epoch holds."""
    result = exactly_once(alone(histories.one_kill(JOB, **LATER, rank1=change)))
    assert (result.outcome, result.summary) == (Outcome.INVALID, summary)


def test_a_job_that_was_killed_in_its_first_epoch_says_nothing() -> None:
    """Nobody has seen a whole one before."""
    assert exactly_once(alone(histories.one_kill(JOB, at=5, resume=4))).outcome == Outcome.NOT_APPLICABLE


def test_epochs_that_differ_say_nothing() -> None:
    """What is drawn with replacement holds different samples each time."""
    drawn = replace(JOB, num_samples=34)
    lives = histories.killed(drawn, 22)
    lives = [replace(life, epochs=[life.epochs[0], [[1] * 2, *life.epochs[1][1:]], *life.epochs[2:]]) for life in lives]
    whole = histories.evidence(drawn, [lives, histories.resumed(drawn, 21)], [])
    assert exactly_once(alone(whole)).outcome == Outcome.NOT_APPLICABLE
