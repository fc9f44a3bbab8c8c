from __future__ import annotations

from dataclasses import replace

import pytest

from tests.mutants import planted
from tests.mutants.bugs import BUGS, NODE_BUGS
from tests.mutants.planted import Shape, ShardSampler

SHAPE = Shape(num_samples=93, batch_size=6, world_size=2, rank=1, seed=17, drop_last=True)
KINDS = [
    planted.StickyStart,
    planted.CountsThisLifeOnly,
    planted.EpochLate,
    planted.EpochEarly,
    planted.EpochZeroOrder,
    planted.EpochRestarted,
    planted.EmptyAfterBorder,
    planted.SkipInSamples,
    planted.SeedIgnored,
    planted.SameOrderEveryEpoch,
    planted.PaddedFromRemainder,
    planted.RankZeroForAll,
    planted.NoPermutation,
    planted.DropLastForgotten,
    planted.BatchReplayed,
    planted.BatchSkipped,
    planted.OnlyRankZeroResumes,
]


def trained(sampler: ShardSampler, *, num_batches: int, num_epochs: int) -> list[list[int]]:
    """The samples of each batch that a loop commits, at most `num_batches` in the first epoch; then whole epochs."""
    batches: list[list[int]] = []
    for epoch in range(sampler.epoch, sampler.epoch + num_epochs):
        sampler.set_epoch(epoch)
        rest = list(sampler)
        size = sampler.shape.batch_size
        for start in range(0, len(rest), size)[:num_batches]:
            batches.append(rest[start : start + size])
            sampler.commit()
    return batches


def after_two_resumes(kind: type[ShardSampler], shape: Shape, first: int) -> list[list[int]]:
    """What is trained on in epochs 1 to 3 if it is saved by rank 0 after `first` batches, and again after two more."""
    lives = [kind(shape) for _ in range(3)]
    savers = [kind(replace(shape, rank=0)) for _ in range(3)]
    lives[0].set_epoch(1)
    savers[0].set_epoch(1)
    batches: list[list[int]] = []
    for position, num_batches in enumerate((first, 2)):
        batches += trained(lives[position], num_batches=num_batches, num_epochs=1)
        trained(savers[position], num_batches=num_batches, num_epochs=1)
        lives[position + 1].load_state_dict(savers[position].state_dict())
        savers[position + 1].load_state_dict(savers[position].state_dict())
    return batches + trained(lives[2], num_batches=100, num_epochs=3)


@pytest.mark.parametrize("first", [1, 4, 6, 8])
@pytest.mark.parametrize("drop_last", [False, True])
def test_without_a_bug_resumes_are_exact(first: int, drop_last: bool) -> None:
    """A resumed run trains on the batches of the uninterrupted one."""
    shape = replace(SHAPE, drop_last=drop_last)
    whole = ShardSampler(shape)
    whole.set_epoch(1)
    expected = trained(whole, num_batches=100, num_epochs=3)
    assert expected == after_two_resumes(ShardSampler, shape, first)[: len(expected)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_planted_bug_changes_what_is_trained_on(kind: type[ShardSampler]) -> None:
    """A bug that changes nothing is no control; the second resume stands on the border between two epochs."""
    shape = replace(SHAPE, drop_last=kind is not planted.PaddedFromRemainder)
    assert after_two_resumes(ShardSampler, shape, 6) != after_two_resumes(kind, shape, 6)


def test_no_bug_is_planted_twice_under_the_same_faults() -> None:
    """A name and its faults stand for one case."""
    bugs = (*BUGS, *NODE_BUGS)
    assert len(bugs) == len({(bug.name, bug.faults) for bug in bugs})


@pytest.mark.parametrize("kind", [planted.CountsBatches, planted.KeepsWorldSize])
@pytest.mark.parametrize("is_right", [True, False])
def test_on_another_number_of_ranks_only_the_bug_leaves_the_common_order(
    kind: type[ShardSampler], is_right: bool
) -> None:
    """Three ranks train on a batch each, then two go on: together they are to train on the rest of the stream."""
    saver = ShardSampler(replace(SHAPE, world_size=3))
    saver.commit()
    ranks = [(ShardSampler if is_right else kind)(replace(SHAPE, rank=rank)) for rank in (0, 1)]
    for sampler in ranks:
        sampler.load_state_dict(saver.state_dict())
    found = [sample for turn in zip(*map(list, ranks), strict=False) for sample in turn]
    expected = ShardSampler(SHAPE).order()[3 * SHAPE.batch_size :]
    assert is_right == (found == expected[: len(found)])
