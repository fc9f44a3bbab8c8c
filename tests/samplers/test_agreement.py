"""Do all ranks stand at the same place?"""

import pytest

from resumable.samplers import (
    AgreementError,
    ResumableDistributedSampler,
    ResumableRandomSampler,
    ResumableSubsetSampler,
    SamplerState,
    check_agreement,
)
from resumable.samplers.agreement import Standing, agreed
from tests.samplers.jobs import draw
from tests.samplers.ranks import refusals, run_ranks


def standings(states):
    """Each state on a rank of its own, all with the same data."""
    return [Standing(state=state, rank=rank, first_epoch="ab") for rank, state in enumerate(states)]


def state_of(num_drawn, *, epoch=1, **changes):
    sampler = ResumableDistributedSampler(
        range(40), **{"num_replicas": 2, "rank": 0, "batch_size": 2, "seed": 3} | changes
    )
    sampler.set_epoch(epoch)
    draw(sampler, num_drawn)
    return SamplerState.from_dict(sampler.state_dict())


@pytest.mark.parametrize("on_torn", ["raise", "earliest"])
def test_equal_positions_agree(on_torn):
    """Any of them will do."""
    assert state_of(4) == agreed(standings([state_of(4)] * 2), on_torn=on_torn)


def test_a_torn_save_is_told_rank_by_rank():
    """The message says which rank stands where."""
    with pytest.raises(AgreementError, match="rank 0 in epoch 1 at sample 8, rank 1 in epoch 1 at sample 4"):
        agreed(standings([state_of(4), state_of(2)]), on_torn="raise")


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([state_of(4), state_of(2)], state_of(2)),
        ([state_of(4, epoch=2), state_of(6, epoch=1)], state_of(6, epoch=1)),
    ],
)
def test_on_request_the_job_goes_on_at_the_earliest_place(states, expected):
    """An earlier epoch is earlier than any position of a later one."""
    assert expected == agreed(standings(states), on_torn="earliest")


@pytest.mark.parametrize("on_torn", ["raise", "earliest"])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 4}, r"rank 0 and rank 1 .*stream\.seed: 3 against 4"),
        ({"dataset_fingerprint": "b"}, r"fingerprint\.dataset: 'a' against 'b'"),
        ({"num_replicas": 4}, "num_replicas=2.* against .*num_replicas=4"),
        ({"batch_size": 4}, "batch_size=2.* against .*batch_size=4"),
    ],
)
def test_different_streams_and_layouts_never_agree(on_torn, changes, message):
    """No common position would make them read one epoch together."""
    states = [state_of(4, dataset_fingerprint="a"), state_of(4, **{"dataset_fingerprint": "a"} | changes)]
    with pytest.raises(AgreementError, match=message):
        agreed(standings(states), on_torn=on_torn)


def torn(rank, on_torn):
    sampler = ResumableDistributedSampler(range(40), batch_size=2)
    draw(sampler, 4 - 2 * rank)
    check_agreement(sampler, on_torn=on_torn)
    return sampler.state_dict()["consumed"]


@pytest.mark.timeout(120)
def test_real_ranks_find_out_and_go_on_together(tmp_path):
    """Every rank gets the same answer."""
    places = "rank 0 in epoch 0 at sample 8, rank 1 in epoch 0 at sample 4"
    message = f"AgreementError: the ranks stand at different places: {places}"
    refused = refusals(2, tmp_path / "refused", lambda rank: torn(rank, "raise"))
    assert [message] * 2 == [text.partition(";")[0] for text in refused]
    assert run_ranks(2, tmp_path / "fixed", lambda rank: torn(rank, "earliest")) == [4, 4]


def test_an_unknown_way_to_go_on_is_refused():
    """A typing error must not mean "raise"."""
    with pytest.raises(ValueError, match="on_torn='latest'"):
        check_agreement(ResumableDistributedSampler(range(4), 1, 0), on_torn="latest")


@pytest.mark.parametrize("on_torn", ["raise", "earliest"])
@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ([0, 0], "some share is read twice, and some by nobody: rank 0 has share 0, rank 1 has share 0"),
        ([1, 1], "rank 0 has share 1, rank 1 has share 1"),
        ([0], "deal to 2 ranks, but 1 are in the process group"),
        ([0, 1, 0, 1], "deal to 2 ranks, but 4 are in the process group"),
    ],
)
def test_ranks_that_do_not_read_one_share_each_never_agree(on_torn, shares, message):
    """Half of the data would be read twice, and half never."""
    states = [Standing(state=state_of(4), rank=share, first_epoch="ab") for share in shares]
    with pytest.raises(AgreementError, match=message):
        agreed(states, on_torn=on_torn)


def test_ranks_may_hold_their_shares_in_any_order():
    """What counts is that each is read once."""
    states = [Standing(state=state_of(4), rank=share, first_epoch="ab") for share in (1, 0)]
    assert state_of(4) == agreed(states, on_torn="raise")


REFUSED = {
    "share is read twice": lambda rank: ResumableDistributedSampler(range(40), 2, 0),
    "deal to 1 ranks, but 2": lambda rank: ResumableRandomSampler(range(40)),
    "deal to 4 ranks, but 2": lambda rank: ResumableDistributedSampler(range(40), 4, rank),
    "stream.seed: 0 against 1": lambda rank: ResumableDistributedSampler(range(40), seed=rank),
    "fingerprint.dataset: '0' against '1'": lambda rank: ResumableDistributedSampler(
        range(40), dataset_fingerprint=f"{rank}"
    ),
    "fingerprint.dataset: ": lambda rank: ResumableSubsetSampler(range(rank, 40 + rank), num_replicas=2, rank=rank),
}


@pytest.mark.timeout(120)
def test_real_ranks_with_the_wrong_samplers_are_refused_in_any_epoch(tmp_path):
    """Also where they stand in different epochs, and the earliest would do."""

    def found(rank):
        messages = []
        for make in REFUSED.values():
            sampler = make(rank)
            sampler.set_epoch(rank)
            with pytest.raises(AgreementError) as caught:
                check_agreement(sampler, on_torn="earliest")
            messages.append(str(caught.value))
        return messages

    for messages in run_ranks(2, tmp_path / "store", found):
        assert list(REFUSED) == [
            expected for expected, message in zip(REFUSED, messages, strict=True) if expected in message
        ]
