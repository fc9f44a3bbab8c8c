"""Planted bugs, as the batches that a rank trains on after a restart, and what is said about them.

The job has 8 batches an epoch and resumes after 12 steps: in epoch 1, at batch 4.
"""

import random
from collections.abc import Callable
from dataclasses import replace
from itertools import chain

import msgspec
import pytest

from resumable.launch.checks.rank_sequence import rank_sequence
from resumable.launch.evidence.history import History, Process
from resumable.launch.evidence.rank_records import AnyRecord, Backward, Batch, EpochBegin, EpochEnd, Loader, Step
from resumable.launch.explain.batch_order import explain
from resumable.launch.explain.check_result import CheckResult
from resumable.launch.explain.codes.order_reasons import SamplerEpochWrong, SamplesDuplicated
from resumable.launch.explain.codes.share_reasons import DatasetLengthDiffers
from resumable.launch.explain.first_wrong_epoch import RankComparison
from resumable.launch.explain.outcome import Outcome
from resumable.launch.reading.steps import Steps
from resumable.launch.reading.trained import TrainedBatch, TrainedStep
from tests.launch import histories
from tests.launch.changes import changed, fields
from tests.launch.histories import Epochs, Job
from tests.launch.lines import with_records

JOB = Job(num_samples=32, num_epochs=4)
Bug = Callable[[int], Epochs]
"""From a rank to what it trains on after the restart."""


def judged(bug: Bug, job: Job = JOB) -> CheckResult:
    changes = {f"rank{rank}": lambda _, rank=rank: bug(rank) for rank in range(job.world_size)}
    return rank_sequence(histories.one_kill(job, at=13, resume=12, **changes))


def right(rank: int) -> Epochs:
    return JOB.epochs_from(rank, 12)


def sticky(rank: int) -> Epochs:
    return [epoch[4:] if number else epoch for number, epoch in enumerate(right(rank))]


def sticky_at_the_end(rank: int) -> Epochs:
    return [epoch[:4] for epoch in right(rank)]


def skip_lost(rank: int) -> Epochs:
    return [JOB.epoch(rank, 1), *right(rank)[1:]]


def began_anew(rank: int) -> Epochs:
    return JOB.epochs_from(rank, 0)


def one_epoch_late(rank: int) -> Epochs:
    return [JOB.epoch(rank, 0)[4:], JOB.epoch(rank, 1), JOB.epoch(rank, 2)]


def one_epoch_early(rank: int) -> Epochs:
    return [JOB.epoch(rank, 2)[4:], JOB.epoch(rank, 3)]


def epoch_twice(rank: int) -> Epochs:
    return [right(rank)[0], JOB.epoch(rank, 1), JOB.epoch(rank, 2)]


def epoch_skipped(rank: int) -> Epochs:
    return [right(rank)[0], JOB.epoch(rank, 3)]


def rest_skipped(rank: int) -> Epochs:
    return right(rank)[1:]


def read_ahead(rank: int) -> Epochs:
    return [right(rank)[0][3:], *right(rank)[1:]]


def skipped_one(rank: int) -> Epochs:
    return [right(rank)[0][1:], *right(rank)[1:]]


def replayed(rank: int) -> Epochs:
    return [JOB.epoch(rank, 1)[3:], *right(rank)[1:]]


def samples_for_batches(rank: int) -> Epochs:
    return [JOB.epoch(rank, 1, consumed=4), *right(rank)[1:]]


def counted_in_samples(rank: int) -> Epochs:
    own = [sample for batch in JOB.epoch(rank, 1) for sample in batch][3:]
    return [[own[first : first + 2] for first in range(0, len(own), 2)], *right(rank)[1:]]


def smaller_batches(rank: int) -> Epochs:
    own = [sample for batch in right(rank)[0] for sample in batch]
    return [[[sample] for sample in own], *right(rank)[1:]]


def scrambled_later(rank: int) -> Epochs:
    first, *others = right(rank)[0]
    return [[first, *others[::-1]], *right(rank)[1:]]


def rank_0_for_all(rank: int) -> Epochs:
    return right(0)


def other_seed(rank: int) -> Epochs:
    rest = [sample for r in (0, 1) for batch in right(r)[0] for sample in batch]
    random.Random(99).shuffle(rest)
    own = rest[rank::2]
    return [[own[first : first + 2] for first in range(0, len(own), 2)], *right(rank)[1:]]


def scrambled(rank: int) -> Epochs:
    own = [sample for batch in right(rank)[0] for sample in batch]
    return [[[own[7], own[0]], [own[1], own[6]], own[2:4], own[4:6]], *right(rank)[1:]]


def no_permutation(rank: int) -> Epochs:
    batches = right(rank)[0]
    return [[[batches[0][0], batches[2][1]], *batches[1:]], *right(rank)[1:]]


def other_padding(rank: int) -> Epochs:
    batches = right(rank)[0]
    return [[*batches[:-1], [batches[-1][0], batches[0][0]]], *right(rank)[1:]]


def last_dropped(rank: int) -> Epochs:
    return [right(rank)[0][:-1], *right(rank)[1:]]


def too_long(rank: int) -> Epochs:
    return [*right(rank), JOB.epoch(rank, 0)]


def longer_epoch(rank: int) -> Epochs:
    return [[*right(rank)[0], [0, 1]], *right(rank)[1:]]


def nothing_at_all(rank: int) -> Epochs:
    return []


def stops_early(rank: int) -> Epochs:
    return right(rank)[:1]


BUGS = [
    (sticky, "epoch 2 is truncated: it begins at batch 4, as many as the resumed epoch had skipped; the skip of the"),
    (sticky_at_the_end, "epoch 2 is truncated: it ends after 4 of 8 batches"),
    (skip_lost, "it restarted epoch 1 from its first batch instead of going on at batch 4"),
    (began_anew, "it started again with the very first batch of epoch 0"),
    (one_epoch_late, "epoch 1 goes on in epoch 0's order: the sampler's epoch was not restored"),
    (one_epoch_early, "epoch 1 goes on in epoch 2's order: the sampler's epoch is wrong"),
    (epoch_twice, "epochs 1 and 2 are alike: the order of epoch 1 came again"),
    (epoch_skipped, "epoch 2 was skipped or is empty"),
    (rest_skipped, "the rest of epoch 1 was skipped"),
    (skipped_one, "it skipped 1 batch from batch 4 of epoch 1 on"),
    (replayed, "it replayed 1 batch from before the restart (from batch 3 on)"),
    (samples_for_batches, "as if it had skipped 4 samples instead of 4 batches"),
    (counted_in_samples, "its batches begin at sample 3 of the rank's epoch 1 instead of sample 8"),
    (smaller_batches, "its batches are of 1 sample instead of 2 from batch 4 of epoch 1 on"),
    (scrambled_later, "the right samples of epoch 1, in a different order"),
    (rank_0_for_all, "rank 1 trained on rank 0's samples"),
    (other_seed, "a different seed or epoch?"),
    (scrambled, "the right samples of epoch 1, in a different order"),
    (no_permutation, "no permutation"),
    (other_padding, "its padding comes from the remainder"),
    (last_dropped, "the last batch of epoch 1 is missing"),
    (longer_epoch, "epoch 1 goes on for 1 more batch"),
    (too_long, "training went on in epoch 4"),
    (nothing_at_all, "epoch 1 is truncated: it ends after 5 of 8 batches"),
    (stops_early, "epoch 2 is empty, or training ended before it"),
]


@pytest.mark.parametrize(("bug", "words"), BUGS, ids=[bug.__name__ for bug, _ in BUGS])
def test_a_planted_bug_is_explained_in_its_own_words(bug, words):
    """Every kind of wrong sequence is INVALID and told from the others."""
    result = judged(bug)
    assert result.outcome == Outcome.INVALID
    assert words in result.violations[-1].explanation


def test_a_right_sequence_is_valid():
    """The repaired twin of all of them."""
    assert judged(right).outcome == Outcome.VALID


def fetching_ahead(process: Process) -> Process:
    """The same process, which receives each batch before it trains on the one before, over borders of epochs."""
    chunks: list[list[AnyRecord]] = [[]]
    for line in process.records:
        chunks += [[]] if isinstance(line, Batch) else []
        chunks[-1].append(line)
    first, *rest = chunks
    lines = [*first, rest[0][0]]
    for own, following in zip(rest, [*rest[1:], []], strict=True):
        turns = [line for line in own[1:] if isinstance(line, EpochBegin | EpochEnd)]
        lines += [*turns, *following[:1], *(line for line in own[1:] if line not in turns)]
    places = iter([number for number, line in enumerate(lines) if isinstance(line, Batch)])
    traced = [
        msgspec.structs.replace(line, batches=[next(places)]) if isinstance(line, Backward) else line for line in lines
    ]
    return with_records(process, traced)


@pytest.mark.parametrize(
    ("resume", "bug", "words"),
    [
        pytest.param(13, lambda rank: [JOB.epoch(rank, 1)[6:]], "it skipped 1 batch from batch 5", id="in an epoch"),
        pytest.param(15, lambda _: [], "it skipped 1 batch from batch 7 of epoch 1", id="before a border"),
    ],
)
def test_a_batch_that_the_loop_had_fetched_ahead_is_told_from_a_wrong_epoch(resume, bug, words):
    """What waited in the loop when it saved counts as done; of a rest of an epoch that is longer, nothing had come."""
    late = {f"rank{r}": lambda _, r=r: [*bug(r), JOB.epoch(r, 2), JOB.epoch(r, 3)] for r in (0, 1)}
    history = histories.one_kill(JOB, at=resume + 1, resume=resume, **late).faulted.history
    processes = tuple(map(fetching_ahead, history.processes))
    ahead = msgspec.structs.replace(history, processes=processes)
    explanations = [
        rank_sequence(histories.of_histories(one, JOB, [])).violations[0].explanation for one in (ahead, history)
    ]
    assert [f"{words}" in one and "only fetched ahead when it saved" in one for one in explanations] == [True, False]


@pytest.mark.parametrize(
    ("num_workers", "prefetch_factor", "is_blamed"), [(2, 2, True), (1, 3, True), (2, 1, False), (0, 2, False)]
)
def test_read_ahead_is_blamed_only_on_workers_that_may_read_so_far(num_workers, prefetch_factor, is_blamed):
    """A loader without workers reads nothing ahead, and one with two not more than two batches where each may read one."""
    job = replace(JOB, num_workers=num_workers, prefetch_factor=prefetch_factor)
    explanation = judged(read_ahead, job).violations[0].explanation
    words = "its sampler counted 3 batches that the loader's workers had only read ahead"
    assert ("it skipped 3 batches" in explanation, words in explanation) == (True, is_blamed)


def test_workers_that_each_skip_what_all_have_done_are_told_from_a_sampler_that_read_ahead() -> None:
    """Two workers share an iterable data set: where one of them had done a batch, each of them leaves one out."""
    job = replace(JOB, num_workers=2, save_every=1)
    changes = {f"rank{rank}": lambda epochs: [epochs[0][1:], *epochs[1:]] for rank in (0, 1)}
    run = histories.one_kill(job, at=2, resume=1, **changes).faulted.history
    runs = (run, histories.reference(job, 1), histories.reference(job, 2))
    faulted, first, second = (changed(history, fields(Loader, num_samples=None)) for history in runs)
    result = rank_sequence(histories.of_histories(faulted, job, [], first=first, second=second))
    assert "the batches of all loader workers had been skipped in each" in result.violations[0].explanation


def in_pair(line: AnyRecord) -> AnyRecord | None:
    if not isinstance(line, Step):
        return line
    return msgspec.structs.replace(line, before=JOB.state(line.step - 1)) if line.step % 2 else None


@pytest.mark.parametrize(
    ("save_every", "skipped", "words"),
    [
        (
            3,
            0,
            "its checkpoint was saved between the backward pass and the step of 1 batch, so that its gradients are lost",
        ),
        (2, 1, "its sampler counted 1 batch that the loader's workers had only read ahead"),
    ],
)
def test_gradients_that_a_checkpoint_lacks_are_told_from_batches_read_ahead(save_every, skipped, words):
    """Of two batches that make a step, the first had its backward pass before the save, and its samples never come again."""
    job = replace(JOB, save_every=save_every, num_workers=2)
    changes = {f"rank{rank}": lambda epochs: [epochs[0][skipped:], *epochs[1:]] for rank in (0, 1)}
    runs = [histories.one_kill(job, at=6, resume=save_every, **changes).faulted.history]
    runs += [histories.reference(job, number) for number in (1, 2)]
    faulted, first, second = (changed(run, in_pair) for run in runs)
    result = rank_sequence(histories.of_histories(faulted, job, [histories.sigkill(5)], first=first, second=second))
    explanations = [violation.explanation for violation in result.violations]
    assert explanations == [f"it skipped 1 batch from batch 2 of epoch 0 on: {words}"] * 2


def test_a_skip_done_twice_is_named():
    """A resume point of 2, skipped by the sampler and by the script."""
    job = replace(JOB, num_epochs=2)
    twice = {f"rank{r}": lambda epochs: [epochs[0][2:], *epochs[1:]] for r in (0, 1)}
    explanation = rank_sequence(histories.one_kill(job, at=3, resume=2, **twice)).violations[0].explanation
    assert "as if the batches done before the restart had been skipped twice" in explanation


def test_a_skip_in_samples_is_seen_inside_a_batch():
    """Four samples of all ranks are two of each: half a batch of four."""
    job = replace(JOB, batch_size=4, num_samples=64)
    skips = {f"rank{r}": lambda epochs, r=r: [job.epoch(r, 1, consumed=4), *epochs[1:]] for r in (0, 1)}
    explanation = rank_sequence(histories.one_kill(job, at=13, resume=12, **skips)).violations[0].explanation
    assert "begin at sample 2 of the rank's epoch 1 instead of sample 16: it skipped 4 samples" in explanation


def test_a_skip_of_batches_of_another_size_is_named():
    """Four batches of half the size end where two of the right size do."""
    job = replace(JOB, batch_size=4, num_samples=64)
    halves = replace(job, batch_size=2)
    skips = {f"rank{r}": lambda epochs, r=r: [halves.epoch(r, 1, consumed=16), *epochs[1:]] for r in (0, 1)}
    explanation = rank_sequence(histories.one_kill(job, at=13, resume=12, **skips)).violations[0].explanation
    assert "begin at sample 8 of the rank's epoch 1 instead of sample 16: it skipped 4 batches of 2" in explanation


def test_what_a_model_is_fed_without_a_loader_is_made_by_something():
    """Of an environment that began anew, say, nothing comes that the uninterrupted run was fed."""
    changes = {f"rank{rank}": lambda _, rank=rank: scrambled(rank) for rank in (0, 1)}
    faulted = histories.one_kill(JOB, at=13, resume=12, **changes).faulted.history
    runs = [faulted, histories.reference(JOB, 1), histories.reference(JOB, 2)]
    faulted, first, second = (histories.of_inputs(histories.without_indices(run)) for run in runs)
    result = rank_sequence(histories.of_histories(faulted, JOB, [], first=first, second=second))
    assert "no data loader gives its batches, and their content fits no epoch" in result.violations[0].explanation


def mixed_later(rank: int) -> Epochs:
    return [[right(rank)[0][0], *JOB.epoch(rank, 2)[3:0:-1]], *right(rank)[1:]]


def test_one_batch_is_no_place():
    """A job may cut its data into batches once, and shuffle those: each comes in every epoch."""

    def out_of_order(rank: int) -> Epochs:
        (first, second, third, fourth), *later = right(rank)
        return [[third, second, fourth, first], *later]

    assert "the right samples of epoch 1, in a different order" in judged(out_of_order).violations[0].explanation


@pytest.mark.parametrize(
    ("bug", "words"),
    [
        (skip_lost, "it restarted epoch 1 from its first batch instead of going on at batch 4"),
        (scrambled_later, "the right batches of epoch 1, in a different order"),
        (mixed_later, "epoch 1 has an order that no epoch of the uninterrupted run has"),
        (scrambled, "the content of its batches fits no epoch of the uninterrupted run from there on"),
    ],
)
def test_batches_known_by_their_content_are_compared_as_a_whole(bug, words):
    """Nothing tells their samples: that they are the right ones is not said."""
    changes = {f"rank{rank}": lambda _, rank=rank: bug(rank) for rank in (0, 1)}
    faulted = histories.one_kill(JOB, at=13, resume=12, **changes).faulted.history
    runs = [faulted, histories.reference(JOB, 1), histories.reference(JOB, 2)]
    faulted, first, second = map(histories.without_indices, runs)
    result = rank_sequence(histories.of_histories(faulted, JOB, [histories.sigkill(12)], first=first, second=second))
    assert result.outcome == Outcome.INVALID
    assert words in result.violations[-1].explanation


OTHER = Job(num_samples=12, num_epochs=11)
"""What a second loader delivers beside `JOB`: 3 batches an epoch, and after 10 steps batch 1 of epoch 3."""


def with_other(process: Process, epochs: Epochs) -> Process:
    """The process with a batch of the second loader after each of the first."""
    others = ((epoch, number, own) for epoch, batches in enumerate(epochs) for number, own in enumerate(batches))
    pairs = [[line, of_other(*next(others))] if isinstance(line, Batch) else [line] for line in process.records]
    return histories.with_lines(msgspec.structs.replace(process, records=()), chain(*pairs))


def of_other(epoch: int, number: int, indices: list[int]) -> Batch:
    return Batch(sequence=0, time_ns=0, loader=1, epoch=epoch, batch=number, indices=indices)


def both(history: History, bug: Bug) -> History:
    """The same run of a job with both loaders, of which the second goes on after the restart as `bug` has it."""
    sources = [lambda rank: OTHER.epochs_from(rank, 0), bug]
    processes = tuple(with_other(p, sources[p.incarnation](p.rank)) for p in history.processes)
    return msgspec.structs.replace(history, processes=processes)


def other_right(rank: int) -> Epochs:
    return OTHER.epochs_from(rank, 10)


def other_skip_lost(rank: int) -> Epochs:
    return OTHER.epochs_from(rank, 9)


def other_epoch_lost(rank: int) -> Epochs:
    return [OTHER.epoch(rank, 0)[1:], *OTHER.epochs_from(rank, 3)]


def first_right(rank: int) -> Epochs:
    return JOB.epochs_from(rank, 10)


def first_skip_lost(rank: int) -> Epochs:
    return JOB.epochs_from(rank, 8)[:2]


@pytest.mark.parametrize(
    ("first", "other", "words"),
    [
        (first_right, other_right, []),
        (
            first_right,
            other_skip_lost,
            ["it restarted epoch 3 from its first batch instead of going on at batch 1"] * 2,
        ),
        (first_right, other_epoch_lost, ["epoch 3 goes on in epoch 0's order: the sampler's epoch was not"] * 2),
        (
            first_skip_lost,
            other_right,
            ["it restarted epoch 1 from its first batch instead of going on at batch 2"] * 2,
        ),
    ],
)
def test_of_two_loaders_side_by_side_the_one_that_differs_is_explained(first, other, words):
    """Each has epochs of its own length."""
    changes = {f"rank{rank}": lambda _, rank=rank: first(rank) for rank in (0, 1)}
    runs = [histories.one_kill(JOB, at=11, resume=10, **changes).faulted.history]
    runs += [histories.reference(JOB, number) for number in (1, 2)]
    faulted, one, two = (both(run, other) for run in runs)
    result = rank_sequence(histories.of_histories(faulted, JOB, [histories.sigkill(10)], first=one, second=two))
    assert words == [violation.explanation[: len(words[0])] for violation in result.violations]


def finished_once_more(rank: int) -> Epochs:
    """The job was killed at the border of epochs 0 and 1, and its checkpoint says that epoch 0 is to come."""
    return [JOB.epoch(rank, number) for number in range(3)]


def at_the_border(bug: Bug) -> CheckResult:
    changes = {f"rank{rank}": lambda _, rank=rank: bug(rank) for rank in range(JOB.world_size)}
    return rank_sequence(histories.one_kill(JOB, at=9, resume=8, **changes))


@pytest.mark.parametrize(
    ("bug", "words"),
    [
        (finished_once_more, "epoch 0 was finished before the restart, and is trained on again; all later ones"),
        (
            lambda rank: finished_once_more(rank)[:1],
            "the sampler's epoch was not restored (set_epoch), or epoch 0 is tra",
        ),
        (
            lambda rank: [JOB.epoch(rank, 2), JOB.epoch(rank, 2), JOB.epoch(rank, 3)],
            "epoch 1 goes on in epoch 2's order",
        ),
        (lambda rank: [JOB.epoch(rank, 2), JOB.epoch(rank, 3)], "epoch 1 was skipped or is empty"),
        (lambda rank: [JOB.epoch(rank, 0), *JOB.epochs_from(rank, 8)[1:]], "epoch 1 goes on in epoch 0's order"),
    ],
    ids=[
        "a finished epoch again",
        "a finished epoch again, and no more",
        "a whole epoch in the next one's order",
        "skipped",
        "in the order of the one before",
    ],
)
def test_what_comes_after_the_first_wrong_epoch_tells_what_became_of_it(bug: Bug, words: str) -> None:
    """An order that comes once too often is none that was skipped."""
    assert words in at_the_border(bug).violations[0].explanation


@pytest.mark.parametrize(
    ("bug", "words"),
    [
        (one_epoch_late, "epoch 1 goes on in epoch 0's order: the state of the generator that draws it"),
        (other_seed, "epoch 1 has an order of its own: the state of the generator that draws it"),
    ],
)
def test_a_sampler_without_epochs_is_blamed_for_none(bug: Bug, words: str) -> None:
    """A generator draws its order: nobody can set an epoch."""
    changes = {f"rank{rank}": lambda _, rank=rank: bug(rank) for rank in range(JOB.world_size)}
    faulted = histories.one_kill(JOB, at=13, resume=12, **changes).faulted.history
    evidence = histories.of_histories(
        changed(faulted, fields(EpochBegin, sampler_epoch=None)), JOB, [histories.sigkill(12)]
    )
    explanation = rank_sequence(evidence).violations[0].explanation
    assert (words in explanation, "set_epoch" in explanation) == (True, False)


@pytest.mark.parametrize(
    ("num_more", "words"),
    [(0, "epoch 1 goes on in epoch 0's order: the state of the generator"), (1, "epoch 0 was finished before")],
    ids=["a generator that began anew", "an epoch again"],
)
def test_how_many_epochs_come_tells_an_order_from_an_epoch_that_comes_again(num_more: int, words: str) -> None:
    """Without a sampler that knows of epochs, both begin with the order of epoch 0."""
    num_epochs = JOB.num_epochs - 1 + num_more
    changes = {
        f"rank{rank}": lambda _, rank=rank: [JOB.epoch(rank, number) for number in range(num_epochs)]
        for rank in range(JOB.world_size)
    }
    faulted = histories.one_kill(JOB, at=9, resume=8, **changes).faulted.history
    evidence = histories.of_histories(
        changed(faulted, fields(EpochBegin, sampler_epoch=None)), JOB, [histories.sigkill(8)]
    )
    explanation = rank_sequence(evidence).violations[0].explanation
    assert (words in explanation, "or epoch 0 is trained on again" in explanation) == (True, False)


SHORT = replace(JOB, num_epochs=2)


def stopped_in_mid_epoch(history: History, num_steps: int) -> History:
    """All ranks of the last group stop after so many steps, and end well."""
    last = history.incarnations[-1]

    def cut(process: Process) -> Process:
        places = [number for number, line in enumerate(process.records) if isinstance(line, Step)]
        if process.incarnation != last or len(places) < num_steps:
            return process
        lines = (*process.records[: places[num_steps - 1] + 1], process.records[-1])
        numbered = tuple(msgspec.structs.replace(line, sequence=number) for number, line in enumerate(lines))
        return msgspec.structs.replace(process, records=numbered)

    return msgspec.structs.replace(history, processes=tuple(map(cut, history.processes)))


def test_a_step_past_the_end_of_training_is_none_that_was_not_dropped() -> None:
    """Training ends after 14 of 16 steps, in mid-epoch; the restarted job does one more."""
    first, second = (stopped_in_mid_epoch(histories.reference(SHORT, number), 14) for number in (1, 2))
    run = stopped_in_mid_epoch(histories.one_kill(SHORT, at=13, resume=12).faulted.history, 3)
    result = rank_sequence(histories.of_histories(run, SHORT, [histories.sigkill(12)], first=first, second=second))
    expected = "it went 1 batch past the end of training, which without a stop ends in the middle of epoch 1"
    assert (Outcome.INVALID, expected) == (result.outcome, result.violations[0].explanation)


def test_batches_that_are_known_by_their_content_are_never_called_samples() -> None:
    """Nobody knows which they are."""
    evidence = histories.one_kill(JOB, at=13, resume=12, rank0=lambda _: replayed(0), rank1=lambda _: replayed(1))
    runs = [histories.without_indices(run.history) for run in (evidence.faulted, *evidence.references)]
    faulted, first, second = runs
    result = rank_sequence(histories.of_histories(faulted, JOB, [histories.sigkill(12)], first=first, second=second))
    assert ("different content in batch 4" in result.violations[0].sentence, "samples" in result.summary) == (
        True,
        False,
    )


def test_batches_that_no_loader_gives_are_drawn_by_a_generator() -> None:
    """There is no epoch to restart, and no sampler to blame."""
    job = Job(num_samples=256, num_epochs=1)
    changes = {f"rank{rank}": lambda _, rank=rank: job.epochs_from(rank, 0) for rank in range(job.world_size)}
    evidence = histories.one_kill(job, at=13, resume=12, **changes)
    runs = (evidence.faulted, *evidence.references)
    faulted, first, second = (histories.of_inputs(histories.without_indices(run.history)) for run in runs)
    result = rank_sequence(histories.of_histories(faulted, job, [histories.sigkill(12)], first=first, second=second))
    expected = (
        "no data loader gives its batches, and it went on with those from batch 0 on instead of batch 12: "
        "what draws them was not restored"
    )
    assert (Outcome.INVALID, expected) == (result.outcome, result.violations[0].explanation)


def cycled(numbers: list[int], first: int = 0, epoch: int = 0) -> Steps:
    """One pass, as it seems, of a loader in `itertools.cycle`: batches of two samples, by their numbers."""
    batches = [
        TrainedBatch(loader=0, epoch=epoch, batch=place, key=(2 * number, 2 * number + 1), line=place + 1)
        for place, number in enumerate(numbers, start=first)
    ]
    return Steps.of(TrainedStep(batches=(batch,), line=batch.line) for batch in batches)


def test_batches_that_come_again_and_again_are_not_cut_elsewhere() -> None:
    """What it keeps is what the process has seen: after a restart in mid-epoch only the rest."""
    expected, found = cycled([0, 1, 2, 3] * 3), cycled([2, 3] * 3, first=6)
    comparison = RankComparison(rank=0, expected={0: expected}, found=found, first_step=6, is_whole=True, batch_size=2)
    assert explain(comparison) == SamplesDuplicated(epoch=0, num=8)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([4, 0], DatasetLengthDiffers(epoch=1, num_found=4, num_expected=8)),
        ([0, 1], SamplerEpochWrong(epoch=1, found_epoch=0, is_earlier_begun=True)),
    ],
    ids=["in an order of its own", "in an order that is known"],
)
def test_a_data_set_of_a_different_length_is_named_where_its_order_is_none_that_is_known(found, expected):
    """A stage of a curriculum, or labels of the model's own, were lost; a wrong epoch has the length of that epoch."""
    known = cycled([0, 1]), cycled([2, 1, 0, 3], epoch=1)
    comparison = RankComparison(
        rank=0,
        expected={0: Steps.of([*known[0], *known[1]])},
        found=cycled(found, epoch=1),
        first_step=2,
        is_whole=True,
        num_samples=(8, 4),
    )
    assert explain(comparison) == expected
