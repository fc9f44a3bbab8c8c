"""Streams that compose: every order, cut in every way, stopped anywhere and resumed on any number of ranks."""

import copy
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from resumable.samplers import (
    Blocks,
    Endless,
    Mixture,
    PackedDataset,
    Packs,
    ResumableBatchSampler,
    ResumableDataLoader,
    ResumableDistributedSampler,
    ResumableRandomSampler,
    StateFormatError,
    StateMismatchError,
    TokenBatches,
)
from tests.samplers.streams import GROUPS, LENGTHS, NUM_SAMPLES, ONCE, ORDERS, SIZES, flat, job, rows

worlds = st.one_of(st.integers(1, 8), st.integers(1, 64))
pytestmark = pytest.mark.filterwarnings("ignore:the stream is amended from here on")


@pytest.mark.parametrize("groups", GROUPS)
@pytest.mark.parametrize("order", ONCE)
@pytest.mark.parametrize("num_replicas", [1, 3, 64])
def test_every_sample_comes_once_an_epoch_and_padding_is_less_than_a_row(order, groups, num_replicas):
    """Whatever groups there are, none is lost, and what ranks read beyond the epoch are its first groups."""
    ranks = job(ORDERS[order](), GROUPS[groups](), num_replicas, seed=1)
    alone, _ = rows(job(ORDERS[order](), GROUPS[groups](), 1, seed=1), 400)
    read, state = rows(ranks, 400)
    assert list(range(NUM_SAMPLES)) == sorted(flat(alone))
    assert alone == read[: len(alone)]
    assert len(read) - len(alone) < num_replicas
    assert all(item in alone for item in read[len(alone) :])
    assert (state["consumed"], ranks[0].remaining) == (NUM_SAMPLES, 0)


@pytest.mark.parametrize("groups", ["token batches", "packs"])
@given(num_replicas=st.integers(1, 9), drop_last=st.sampled_from([True, False, "global"]), batch_size=st.integers(1, 4))
def test_the_length_of_a_grouped_epoch_is_what_comes(groups, num_replicas, drop_last, batch_size):
    """`len`, `remaining` and what is read agree, for each rule of the tail."""
    batch_size = batch_size if groups == "packs" else 1
    ranks = job("feistel", GROUPS[groups](), num_replicas, drop_last=drop_last, batch_size=batch_size, epoch=2)
    lengths = {len(sampler) for sampler in ranks} | {sampler.remaining for sampler in ranks}
    assert lengths == {len(list(sampler)) for sampler in ranks}


@given(padded=st.booleans(), budget=st.integers(100, 900), most=st.none() | st.integers(1, 9), seed=st.integers(0, 99))
def test_no_batch_costs_more_than_its_budget_and_none_could_take_the_next(padded, budget, most, seed):
    """Counted by hand, with and without padding."""
    groups = TokenBatches(LENGTHS, budget, padded=padded, max_samples=most, block_size=40)
    for batch in rows([ResumableRandomSampler(range(NUM_SAMPLES), seed=seed, groups=groups)], 100)[0]:
        sizes = [int(LENGTHS[sample]) for sample in batch]
        assert (max(sizes) * len(sizes) if padded else sum(sizes)) <= budget
        assert len(batch) <= (most or len(batch))


@given(capacity=st.integers(100, 500), seed=st.integers(0, 99))
def test_packs_are_first_fit(capacity, seed):
    """As a reader would do it with a pencil: block by block, each sample into the first pack with room."""
    stream = list(ResumableRandomSampler(range(NUM_SAMPLES), seed=seed))
    expected = []
    for first in range(0, NUM_SAMPLES, 16):
        packs = []
        for sample in stream[first : first + 16]:
            room = [sum(LENGTHS[[*pack, sample]]) <= capacity for pack in packs] + [True]
            packs += [[]] * (room.index(True) == len(packs))
            packs[room.index(True)] = [*packs[room.index(True)], sample]
        expected += packs
    packs = Packs(LENGTHS, capacity, block_size=16)
    assert expected == list(ResumableRandomSampler(range(NUM_SAMPLES), seed=seed, groups=packs))


@settings(max_examples=20)
@given(
    order=st.sampled_from(ONCE),
    groups=st.sampled_from([*GROUPS]),
    history=st.lists(st.tuples(worlds, st.integers(0, 6), st.integers(0, 40)), min_size=1, max_size=4),
    data=st.data(),
)
def test_data_that_is_added_in_mid_epoch_comes_once_in_it(order, groups, history, data):
    """What was consumed stays consumed; the rest and the new samples come once each, whoever reads them."""
    num_samples, state, read = NUM_SAMPLES, None, []
    for num_replicas, num_rows, num_added in history:
        ranks = job(
            ORDERS[order](),
            GROUPS[groups](),
            num_replicas,
            num_samples=num_samples,
            state=state,
            allow=["stream.num_samples"],
        )
        part, state = rows(ranks, min(num_rows, ranks[0].remaining - 1))
        read += flat(part)
        num_samples += num_added
    [alone] = job(
        ORDERS[order](), GROUPS[groups](), 1, num_samples=num_samples, state=state, allow=["stream.num_samples"]
    )
    read += flat(alone)
    assert list(range(num_samples)) == sorted(read)
    alone.set_epoch(1)
    assert list(range(num_samples)) == sorted(flat(alone))


def laps_are_whole(samples, size):
    """Whether each lap through a member holds each of its samples once."""
    laps = [samples[first : first + size] for first in range(0, len(samples), size)]
    return all(len(set(lap)) == len(lap) for lap in laps)


@settings(max_examples=15)
@given(
    weights=st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3).filter(any), min_size=1, max_size=4),
    stops=st.lists(st.tuples(worlds, st.integers(0, 9)), min_size=4, max_size=4),
    is_endless=st.booleans(),
)
def test_weights_change_from_a_position_on_and_each_member_goes_on_where_it_was(weights, stops, is_endless):
    """Whatever happened to its weight, a member's samples come lap after lap, each once in a lap."""
    read, state = [], None
    for chosen, (num_replicas, num_rows) in zip(weights, stops, strict=False):
        mixture = Mixture(SIZES, chosen, order="randperm")
        order = Endless(mixture) if is_endless else mixture
        ranks = job(order, None, num_replicas, state=state, allow=["stream.parameters"])
        part, state = rows(ranks, min(num_rows, 100 // num_replicas // len(weights)))
        read += part
    first = 0
    for size in SIZES:
        assert laps_are_whole([sample for sample in read if first <= sample < first + size], size)
        first += size


def test_a_member_may_join_and_another_one_grow_in_mid_run():
    """The others do not notice: their samples come in the order in which they would have come."""
    before, grown = Mixture.of({"a": (50, 1), "b": (20, 1)}), Mixture.of({"a": (50, 1), "b": (30, 1), "c": (5, 2)})
    [untouched] = job(Endless(before), None, 1, num_samples=70)
    [sampler] = job(Endless(before), None, 1, num_samples=70)
    reference, _ = rows([untouched], 600)
    read, state = rows([sampler], 70)
    allow = ["stream.parameters", "stream.num_samples"]
    [sampler] = job(Endless(grown), None, 1, num_samples=85, state=state, allow=allow)
    later, state = rows([sampler], 300)
    assert state["amendments"][0]["consumed"] == 70
    of_a = [sample for sample in read + later if sample < 50]
    assert [sample for sample in reference if sample < 50][: len(of_a)] == of_a
    of_b = [sample for sample in read + later if 50 <= sample < 80]
    num_old = sum(1 for sample in read if sample >= 50) // 20 * 20
    assert sorted(of_b[num_old : num_old + 30]) == list(range(50, 80))
    assert laps_are_whole([sample for sample in later if sample >= 80], 5)


def test_a_program_that_knows_nothing_of_an_amendment_goes_on_with_it():
    """The state keeps what was amended; the weights in the program may be those of the beginning or the latest."""
    first, second = Endless(Mixture(SIZES, [1, 1, 1])), Endless(Mixture(SIZES, [3, 2, 1]))
    _, state = rows(job(first, None, 2), 10)
    ranks = job(second, None, 2, state=state, allow=["stream.parameters"])
    expected, _ = rows(copy.deepcopy(ranks), 50)
    _, state = rows(ranks, 5)
    for order in (first, second):
        assert expected[10:] == rows(job(order, None, 2, state=state), 45)[0]
    with pytest.raises(StateMismatchError, match=r"allow=\['stream.parameters'\] amends the stream from here on"):
        job(Endless(Mixture(SIZES, [1, 2, 1])), None, 2, state=state)


def test_a_job_that_went_back_behind_an_amendment_may_amend_again():
    """There what was amended later does not hold yet, and its next state is one that can be loaded."""
    allow = ["stream.num_samples"]
    _, state = rows(
        job("randperm", None, 2, num_samples=20), 20
    )  # the epoch is over: what is added holds from epoch 1 on
    [sampler] = job("randperm", None, 1, num_samples=25, state=state, allow=allow)
    sampler.set_epoch(1)
    sampler.set_epoch(0)
    read, state = rows([sampler], 12)
    rest, state = rows(job("randperm", None, 1, num_samples=30, state=state, allow=allow), 30)
    assert list(range(30)) == sorted(read + rest)
    assert [(held["epoch"], held["consumed"], held["num_samples"]) for held in state["amendments"]] == [(0, 12, 20)]
    assert job("randperm", None, 1, num_samples=30, state=state)[0].remaining == 0


@pytest.mark.parametrize(
    ("mixture", "message"),
    [
        (Mixture([70, 30], [1, 1]), "'2' was taken away, renamed or given a different order"),
        (Mixture([61, 30, 9], [1, 1, 1], names="xyz"), "'0' was taken away, renamed"),
        (Mixture([61, 30, 9], [1, 1, 1], order="randperm"), "'0' was taken away, renamed or given a different order"),
        (Mixture([62, 29, 9], [1, 1, 1]), "'1' has lost samples"),
        (Mixture([61, 30, 9], [1, 1, 1], epoch_length=50), "give epoch_length=100"),
    ],
)
def test_what_no_mixture_can_go_on_with_is_refused(mixture, message):
    """A member that is gone, renamed, smaller or shuffled differently."""
    _, state = rows(job(Mixture(SIZES, [1, 1, 1]), None, 1), 10)
    with pytest.raises(StateMismatchError, match=message):
        job(mixture, None, 1, state=state)


@pytest.mark.parametrize(
    "damage",
    [
        {"epoch_length": 100},
        {"members": [], "epoch_length": 100},
        {"members": [{"name": "0", "size": "61"}], "epoch_length": 100},
        {"members": 5, "epoch_length": 100},
    ],
)
def test_damaged_parameters_are_no_others(damage):
    """A state that was cut or edited is refused as damaged, not as different."""
    _, state = rows(job(Mixture(SIZES, [1, 1, 1]), None, 1), 10)
    held = {"epoch": 0, "consumed": 5, "num_samples": 100, "parameters": damage}
    with pytest.raises(StateFormatError, match="damaged sampler state"):
        job(Mixture(SIZES, [1, 1, 1]), None, 1, state=state | {"amendments": [held]})


def test_different_lengths_of_samples_are_found_out():
    """Batches would be cut elsewhere: the digest of the order covers the lengths."""
    _, state = rows(job("feistel", TokenBatches(LENGTHS, 400, block_size=32), 1), 3)
    with pytest.raises(StateMismatchError, match=r"fingerprint\.order"):
        job("feistel", TokenBatches(LENGTHS[::-1].copy(), 400, block_size=32), 1, state=state)


def test_a_seek_to_the_far_end_of_10_to_the_12_reads_one_block():
    """A mixture of blocks, cut by a budget: what the walk costs does not depend on where it begins."""
    asked = []

    def lengths(samples):
        asked.append(len(samples))
        return samples % 97 + 1

    order = Endless(Mixture([10**12, 10**9], [9, 1], order=Blocks(4096)))
    [sampler] = job(order, TokenBatches(lengths, 4000, block_size=1024), 1, num_samples=10**12 + 10**9)
    state = sampler.state_dict() | {"consumed": 10**12 // 1024 * 1024}
    sampler.load_state_dict(state)
    asked.clear()
    batch = next(iter(sampler))
    assert sum(asked) <= 2 * 1024 + 64
    assert max(sample % 97 + 1 for sample in batch) * len(batch) <= 4000


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_loader_takes_batches_by_budget_and_goes_on_with_the_next_one(num_workers):
    """Given as a sampler or in a batch sampler, on other ranks after the stop."""

    def loader(num_replicas, rank):
        groups = TokenBatches(LENGTHS, 400, block_size=32)
        sampler = ResumableDistributedSampler(range(NUM_SAMPLES), num_replicas, rank, order="feistel", groups=groups)
        batches = ResumableBatchSampler(sampler)
        return ResumableDataLoader(range(NUM_SAMPLES), batch_sampler=batches, num_workers=num_workers)

    expected = [batch.tolist() for batch in loader(1, 0)]
    ranks = [loader(2, rank) for rank in range(2)]
    iterators = [iter(rank) for rank in ranks]
    read = [next(iterator).tolist() for _ in range(4) for iterator in iterators]
    states = [rank.state_dict() for rank in ranks]
    assert states[0] == states[1]
    alone = loader(1, 0)
    alone.load_state_dict(states[0])
    assert expected == read + [batch.tolist() for batch in alone]


def test_packs_come_in_batches_of_lists():
    """A loader's `collate_fn` joins them; `commit` and `start_iter` count batches of packs."""
    data = PackedDataset(list(range(NUM_SAMPLES)))
    sampler = ResumableRandomSampler(data, groups=Packs(LENGTHS, 256, block_size=16), batch_size=4)
    loader = ResumableDataLoader(data, sampler=sampler, collate_fn=list)
    whole = list(loader)
    sampler.start_iter = 3
    assert (3, whole[3:]) == (sampler.start_iter, list(loader))
    assert all(len(batch) == 4 for batch in whole[:-1])


def test_batches_are_not_made_into_batches():
    """torch's own loader would collate lists of lists."""
    sampler = ResumableRandomSampler(range(NUM_SAMPLES), groups=TokenBatches(LENGTHS, 400))
    with pytest.raises(ValueError, match="batch_sampler=ResumableBatchSampler"):
        next(iter(DataLoader(range(NUM_SAMPLES), batch_size=2, sampler=sampler)))
    with pytest.raises(ValueError, match="batch_size=2: token-batches/1 makes the batches"):
        ResumableRandomSampler(range(10), batch_size=2, groups=TokenBatches(LENGTHS, 400))


def test_an_endless_run_has_no_length_and_no_epochs():
    """Whatever a framework counts, it goes on; `len` says so."""
    [sampler] = job(Endless("feistel"), None, 1, num_samples=10)
    sampler.set_epoch(7)
    read, state = rows([sampler], 25)
    assert (state["epoch"], state["consumed"]) == (0, 25)
    assert all(sorted(read[first : first + 10]) == list(range(10)) for first in (0, 10))
    with pytest.raises(TypeError, match="endless"):
        len(sampler)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Mixture([5], [1, 2]), "1 sizes, 2 weights"),
        (lambda: Mixture([5, 5], [0, 0]), "expected a positive and finite sum"),
        (lambda: Mixture([5, 5], [1, -1]), "Expected `float` >= 0"),
        (lambda: Mixture([5, 0], [1, 1]), "Expected `int` >= 1"),
        (lambda: Mixture([5, 5], [1, 1], names=["a", "a"]), "expected different ones"),
        (lambda: Blocks(0), "block_size=0"),
        (lambda: TokenBatches([5, 11], 10), "sample 1 has length 11"),
        (lambda: Packs([5, 0], 10), "sample 1 has length 0"),
        (lambda: ResumableRandomSampler(range(9), order=Mixture([5, 5], [1, 1])), "9 samples"),
        (lambda: ResumableRandomSampler([], order=Endless()), "num_samples=0"),
        (lambda: ResumableDistributedSampler(range(9), 1, 0, shuffle=False, order=Blocks(3)), "shuffle=False"),
    ],
)
def test_what_makes_no_stream_is_refused_when_it_is_made(make, message):
    """The first line that can know."""
    with pytest.raises(ValueError, match=message):
        make()


def test_states_of_streams_are_small_and_plain():
    """One JSON of a kilobyte or so, whatever the number of ranks and samples."""
    [sampler] = job(Endless(Mixture([10**12] * 3, [1, 2, 3])), None, 1, num_samples=3 * 10**12)
    assert len(json.dumps(sampler.state_dict())) < 1500


def test_the_samples_of_blocks_come_from_one_window_at_a_time():
    """Neighbours on disk stay neighbours in time, and each window is shuffled."""
    stream = np.array(list(ResumableRandomSampler(range(1000), order=Blocks(10, window=4))))
    windows = [stream[first : first + 40] for first in range(0, 1000, 40)]
    assert all(len(np.unique(window // 10)) == 4 for window in windows)
    assert all((np.diff(window) == 1).mean() < 0.3 for window in windows)
