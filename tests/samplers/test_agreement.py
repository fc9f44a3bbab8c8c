"""Do all ranks stand at the same place?"""

import pytest

from resumable.samplers import AgreementError, ResumableDistributedSampler, SamplerState, check_agreement
from resumable.samplers.agreement import agreed
from tests.samplers.jobs import draw
from tests.samplers.ranks import refusals, run_ranks


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
    assert state_of(4) == agreed([state_of(4)] * 3, on_torn=on_torn)


def test_a_torn_save_is_told_rank_by_rank():
    """The message says which rank stands where."""
    with pytest.raises(AgreementError, match="rank 0 in epoch 1 at sample 8, rank 1 in epoch 1 at sample 4"):
        agreed([state_of(4), state_of(2)], on_torn="raise")


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([state_of(4), state_of(2), state_of(6)], state_of(2)),
        ([state_of(4, epoch=2), state_of(6, epoch=1)], state_of(6, epoch=1)),
    ],
)
def test_on_request_the_job_goes_on_at_the_earliest_place(states, expected):
    """An earlier epoch is earlier than any position of a later one."""
    assert expected == agreed(states, on_torn="earliest")


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
        agreed(states, on_torn=on_torn)


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
    assert run_ranks(2, tmp_path / "mended", lambda rank: torn(rank, "earliest")) == [4, 4]


def test_an_unknown_way_to_go_on_is_refused():
    """A typing error must not mean "raise"."""
    with pytest.raises(ValueError, match="on_torn='latest'"):
        check_agreement(ResumableDistributedSampler(range(4), 1, 0), on_torn="latest")
