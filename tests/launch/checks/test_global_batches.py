from dataclasses import replace

import msgspec
import pytest

from resumable.launch.checks.exactly_once import exactly_once
from resumable.launch.checks.global_batches import global_batches
from resumable.launch.explain.check_result import CheckResult
from resumable.launch.explain.codes.batch_problems import BatchesCutDifferently
from resumable.launch.explain.outcome import Outcome
from resumable.launch.reading.evidence import gather
from tests.launch import histories
from tests.launch.histories import Job, Life

SIZES = [
    pytest.param((4, 2), (2, 4), id="4 to 2 ranks, same global batch"),
    pytest.param((2, 4), (4, 2), id="2 to 4 ranks, same global batch"),
    pytest.param((4, 2), (2, 2), id="4 to 2 ranks, half the global batch"),
    pytest.param((2, 2), (4, 2), id="2 to 4 ranks, twice the global batch"),
    pytest.param((4, 2), (3, 2), id="4 to 3 ranks"),
]


def judged(job: Job, other: Job, lives: list[Life]) -> CheckResult:
    return global_batches(histories.evidence(job, [histories.killed(job, 3), lives], [], other))


@pytest.mark.parametrize("num_samples", [48, 50, 51])
@pytest.mark.parametrize(("before", "after"), SIZES)
def test_the_rest_of_the_common_stream_is_valid_on_any_number_of_ranks(before, after, num_samples):
    """Global batches are equal as sets if their size is kept, and the stream's order is kept in any case."""
    job = Job(world_size=before[0], batch_size=before[1], num_samples=num_samples)
    other = replace(job, world_size=after[0], batch_size=after[1])
    assert judged(job, other, histories.resized(job, other, 2)).outcome == Outcome.VALID


def spoilt(lives: list[Life], epochs: list[list[list[int]]]) -> list[Life]:
    """Rank 1 trains on these epochs instead."""
    return [lives[0], replace(lives[1], epochs=epochs), *lives[2:]]


@pytest.mark.parametrize(("before", "after"), SIZES)
def test_a_skipped_batch_of_one_rank_is_invalid(before, after):
    """One rank that leaves a batch out moves all that come after."""
    job = Job(world_size=before[0], batch_size=before[1], num_samples=48)
    other = replace(job, world_size=after[0], batch_size=after[1])
    lives = histories.resized(job, other, 2)
    epochs = [lives[1].epochs[0][1:], *lives[1].epochs[1:]]
    assert judged(job, other, spoilt(lives, epochs)).outcome == Outcome.INVALID


@pytest.mark.parametrize(("before", "after"), SIZES)
def test_another_order_of_a_later_epoch_is_invalid(before, after):
    """Epochs after the resume do not depend on where it happened."""
    job = Job(world_size=before[0], batch_size=before[1], num_samples=48)
    other = replace(job, world_size=after[0], batch_size=after[1])
    lives = [replace(life, epochs=[*life.epochs[:2], life.epochs[1]]) for life in histories.resized(job, other, 2)]
    assert judged(job, other, lives).outcome == Outcome.INVALID


@pytest.mark.parametrize(("before", "after"), [(4, 2), (2, 4), (4, 3), (3, 4)])
def test_batches_of_another_number_of_ranks_are_told(before, after):
    """Whether the ranks' own batches come again or are skipped: the position was none of samples."""
    job = Job(world_size=before, num_samples=96)
    other = replace(job, world_size=after)
    lives = [
        Life(epochs=other.epochs_at(r, 0, 3 * other.global_batch_size), base=3, loads=histories.path_of(3))
        for r in range(after)
    ]
    result = judged(job, other, lives)
    expected = f"progress was counted in batches: those of {before} ranks were taken for batches of {after}"
    assert (result.outcome, result.violations[0].explanation) == (Outcome.INVALID, expected)
    assert result.violations[0].expected != result.violations[0].found


@pytest.mark.parametrize(("before", "after"), [(4, 2), (2, 4), (2, 3)])
@pytest.mark.parametrize("step", [12, 14])
def test_batches_that_are_counted_since_training_began_are_told(before, after, step):
    """They lead into a different epoch."""
    job = Job(world_size=before, num_samples=24 * before, num_epochs=4)
    other = replace(job, world_size=after)
    place = divmod(step * other.global_batch_size, job.num_samples)
    lives = [Life(epochs=other.epochs_at(r, *place), base=step, loads=histories.path_of(step)) for r in range(after)]
    evidence = histories.evidence(job, [histories.killed(job, step + 1), lives], [], other)
    expected = f"progress was counted in batches: those of {before} ranks were taken for batches of {after}"
    result = global_batches(evidence)
    assert (result.outcome, result.violations[0].explanation) == (Outcome.INVALID, expected)


def test_the_second_change_of_the_number_of_ranks_is_told_too():
    """From 4 to 2 ranks rightly, and then to 3 in batches of 2."""
    job = Job(world_size=4, num_samples=64)
    two, three = replace(job, world_size=2), replace(job, world_size=3)
    first = [replace(life, stop_after=3) for life in histories.resized(job, two, 2)]
    second = [Life(epochs=three.epochs_at(r, 0, 36), base=4) for r in range(3)]
    result = global_batches(histories.evidence(job, [histories.killed(job, 3), first, second], [], two, three))
    expected = "progress was counted in batches: those of 2 ranks were taken for batches of 3"
    assert (result.outcome, result.violations[0].explanation) == (Outcome.INVALID, expected)


def test_a_batch_that_all_ranks_skip_is_not_laid_to_another_number_of_ranks():
    """It would have been skipped on the old one too."""
    job = Job(world_size=4, num_samples=96)
    other = replace(job, world_size=2)
    consumed = 3 * job.global_batch_size + other.global_batch_size
    lives = [Life(epochs=other.epochs_at(r, 0, consumed), base=3, loads=histories.path_of(3)) for r in range(2)]
    result = judged(job, other, lives)
    assert (result.outcome, result.violations[0].explanation) == (Outcome.INVALID, "")


@pytest.mark.parametrize("step", [2, 8])
def test_shares_of_the_old_number_of_ranks_are_told(step):
    """In the middle of an epoch and at its border."""
    job = Job(world_size=3, num_samples=48)
    other = replace(job, world_size=2)
    lives = [Life(epochs=job.epochs_from(r, step), base=step, loads=histories.path_of(step)) for r in range(2)]
    evidence = histories.evidence(job, [histories.killed(job, step + 1), lives], [], other)
    result = global_batches(evidence)
    expected = "the samplers still deal the samples out to 3 ranks, though there are 2"
    assert (result.outcome, result.violations[0].explanation) == (Outcome.INVALID, expected)


def test_a_missing_epoch_is_invalid():
    """Training must not end sooner on another number of ranks."""
    job = Job(world_size=4, num_samples=48)
    other = replace(job, world_size=2, batch_size=4)
    lives = [replace(life, epochs=life.epochs[:-1]) for life in histories.resized(job, other, 2)]
    result = judged(job, other, lives)
    assert (result.outcome, result.summary) == (
        Outcome.INVALID,
        "training took 12 global batches, the uninterrupted run 18",
    )


def test_the_number_of_ranks_may_change_twice():
    """From 4 to 2 to 3 ranks in one epoch; the second time, steps are no longer those of the reference."""
    job = Job(world_size=4, num_samples=64)
    two, three = replace(job, world_size=2), replace(job, world_size=3)
    first = [replace(life, stop_after=11) for life in histories.resized(job, two, 2)]
    consumed = 2 * job.global_batch_size + 10 * two.global_batch_size
    second = [Life(epochs=three.epochs_at(r, 0, consumed), base=12) for r in range(3)]
    evidence = histories.evidence(job, [histories.killed(job, 3), first, second], [], two, three)
    assert global_batches(evidence).outcome == Outcome.VALID


class WholeBatches(Job):
    """Its ranks take turns by batches of 1 to 4 samples, as those that are cut by a budget."""

    def epoch(self, rank, epoch, consumed=0):
        order, batches, first = self.order(epoch), [], 0
        while first < len(order):
            size = 1 + order[first] % 4
            batches, first = [*batches, order[first : first + size]], first + size
        starts = [sum(map(len, batches[:number])) for number in range(len(batches))]
        rest = batches[starts.index(consumed) :]
        return (rest + batches[: -len(rest) % self.world_size])[rank :: self.world_size]


@pytest.mark.parametrize("after", [2, 3, 8])
@pytest.mark.parametrize(("moved", "outcome"), [(0, Outcome.VALID), (1, Outcome.INVALID)])
def test_ranks_may_take_turns_by_whole_batches_of_any_size(after, moved, outcome):
    """The order of the batches is what is kept; one that goes on a batch further on has lost one."""
    job = WholeBatches(world_size=4, num_samples=64, num_epochs=1)
    other = WholeBatches(world_size=after, num_samples=64, num_epochs=1)
    dealt = [job.epoch(rank, 0) for rank in range(4)]
    consumed = sum(len(batch) for batches in dealt for batch in batches[:2]) + moved * len(dealt[0][2])
    lives = [Life(epochs=[other.epoch(rank, 0, consumed)], base=2) for rank in range(after)]
    evidence = histories.evidence(job, [histories.killed(job, 3), lives], [], other)
    assert global_batches(evidence).outcome == outcome
    assert exactly_once(evidence).outcome == outcome


def test_an_unchanged_number_of_ranks_is_not_applicable():
    """Ranks are compared one by one then."""
    assert global_batches(histories.one_kill()).outcome == Outcome.NOT_APPLICABLE


def test_nothing_to_compare_with_is_not_applicable():
    """`resumable run` has no reference."""
    evidence = msgspec.structs.replace(histories.one_kill(), references=())
    assert global_batches(evidence).outcome == Outcome.NOT_APPLICABLE


def test_no_training_after_the_change_is_unknown():
    """Ranks that never trained prove nothing."""
    job = Job(world_size=4, num_samples=48)
    other = replace(job, world_size=2)
    assert judged(job, other, [Life(epochs=[]), Life(epochs=[])]).outcome == Outcome.UNKNOWN


def test_a_global_batch_that_comes_again_is_named():
    """The skip was counted in what is a different number of ranks now."""
    job = Job(world_size=4, batch_size=2, num_samples=48)
    other = replace(job, world_size=2, batch_size=4)
    lives = [replace(life, base=2, start=job.state(2)) for life in histories.resized(job, other, 1)]
    result = judged(job, other, lives)
    assert (result.outcome, "global batch 1 is trained on again" in result.violations[0].explanation) == (
        Outcome.INVALID,
        True,
    )
    assert result.violations[0].found


@pytest.mark.parametrize("check", [global_batches, exactly_once], ids=["global_batches", "exactly_once"])
def test_contents_of_batches_that_are_cut_differently_accuse_nobody(check):
    """Where no loader gives indices, the same samples in batches of another size have other digests."""
    job = Job(world_size=4, batch_size=2)
    other = replace(job, world_size=2, batch_size=4)
    evidence = histories.evidence(job, [histories.killed(job, 3), histories.resized(job, other, 2)], [], other)
    references = [histories.without_indices(run.history) for run in evidence.references]
    faulted = histories.without_indices(evidence.faulted.history)
    result = check(gather(evidence.plan, evidence.scenario, references, faulted))
    assert (Outcome.UNKNOWN, str(BatchesCutDifferently())) == (result.outcome, result.summary)
