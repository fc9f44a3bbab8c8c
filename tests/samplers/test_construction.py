"""What bad arguments get, and what constructing costs."""

import numpy as np
import pytest
import torch

from resumable.samplers import (
    ResumableDistributedSampler,
    ResumableRandomSampler,
    ResumableSequentialSampler,
    ResumableSubsetSampler,
    ResumableWeightedSampler,
)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"batch_size": 0}, ValueError, "batch_size=0"),
        ({"batch_size": -2}, ValueError, "batch_size=-2"),
        ({"batch_size": True}, TypeError, "batch_size=True"),
        ({"batch_size": 2.0}, TypeError, r"batch_size=2\.0"),
        ({"seed": "7"}, TypeError, "seed='7'"),
        ({"seed": 2**62}, ValueError, "seed=4611686018427387904"),
        ({"rank": 2}, ValueError, "rank 2"),
        ({"rank": -1}, ValueError, "rank=-1"),
        ({"rank": 0.5}, TypeError, r"rank=0\.5"),
        ({"num_replicas": 0}, ValueError, "num_replicas=0"),
        ({"num_replicas": "2"}, TypeError, "num_replicas='2'"),
        ({"shuffle": 1}, TypeError, "shuffle=1"),
        ({"drop_last": "tail"}, ValueError, "drop_last='tail'"),
        ({"drop_last": 1}, TypeError, "drop_last=1"),
        ({"order": "random"}, ValueError, "order='random'"),
        ({"dataset_fingerprint": 5}, TypeError, "dataset_fingerprint=5"),
        ({"dataset": iter(range(5))}, TypeError, "has no length"),
    ],
)
def test_a_bad_argument_is_refused_by_name_and_value(arguments, error, message):
    """Construction is the first line that can know."""
    with pytest.raises(error, match=message):
        ResumableDistributedSampler(**{"dataset": range(10), "num_replicas": 2, "rank": 0} | arguments)


@pytest.mark.parametrize("sampler_type", [ResumableRandomSampler, ResumableSequentialSampler])
def test_the_samplers_of_one_process_check_their_arguments_too(sampler_type):
    """A batch size of zero would never move."""
    with pytest.raises(ValueError, match="batch_size=0"):
        sampler_type(range(10), batch_size=0)


@pytest.mark.parametrize(
    ("epoch", "error"), [(-1, ValueError), (0.0, TypeError), (None, TypeError), (2**62, ValueError)]
)
def test_an_epoch_is_a_small_count(epoch, error):
    """The message names the value."""
    with pytest.raises(error, match=f"epoch={epoch}"):
        ResumableRandomSampler(range(10)).set_epoch(epoch)


def test_constructing_costs_nothing_that_grows_with_the_data_set():
    """A sampler over 2^61 samples is made at once."""
    sampler = ResumableDistributedSampler(range(2**61), 8, 3, shuffle=False)
    assert len(sampler) == 2**58
    assert [next(iterator) for iterator in [iter(sampler)] for _ in range(3)] == [3, 11, 19]


def test_an_empty_data_set_has_empty_epochs():
    """Nothing to read is no error."""
    sampler = ResumableDistributedSampler([], 3, 1)
    assert (list(sampler), len(sampler), sampler.remaining) == ([], 0, 0)


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        ({"replacement": True}, "ResumableWeightedSampler"),
        ({"num_samples": 5}, "ResumableSubsetSampler"),
        ({"num_samples": 15}, "Endless"),
        ({"generator": torch.Generator()}, "initial_seed"),
    ],
)
def test_what_torchs_random_sampler_takes_is_refused_with_what_to_write(arguments, advice):
    """As torch, or a clear error."""
    with pytest.raises(ValueError, match=advice):
        ResumableRandomSampler(range(10), **arguments)


def test_what_torchs_random_sampler_takes_by_default_is_taken():
    """Spelled out, as configurations do."""
    sampler = ResumableRandomSampler(range(10), seed=3, replacement=False, num_samples=10, generator=None)
    assert list(ResumableRandomSampler(range(10), seed=3)) == list(sampler)


@pytest.mark.parametrize("name", ["seed", "shuffle", "drop_last", "num_replicas", "rank"])
def test_what_the_stream_is_made_of_cannot_be_assigned(name):
    """It would change nothing, and nobody would notice."""
    sampler = ResumableDistributedSampler(range(10), 2, 0)
    with pytest.raises(AttributeError, match=f"{name}=1: .* make a new one"):
        setattr(sampler, name, 1)


@pytest.mark.parametrize(
    "epoch", [np.int32(3), np.uint64(3), torch.tensor(3), np.array(3)], ids=lambda e: type(e).__name__
)
def test_epochs_of_arrays_and_tensors_are_numbers(epoch):
    """A state with one still goes through JSON."""
    sampler = ResumableRandomSampler(range(10))
    sampler.set_epoch(epoch)
    assert (sampler.state_dict()["epoch"], type(sampler.state_dict()["epoch"])) == (3, int)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.int32, torch.uint8])
def test_weights_of_any_type_are_weights(dtype):
    """NumPy knows no bfloat16."""
    expected = list(ResumableWeightedSampler([1.0, 2.0, 0.0], 50))
    assert expected == list(ResumableWeightedSampler(torch.tensor([1, 2, 0], dtype=dtype), 50))


def test_weights_with_a_gradient_are_weights():
    """As for torch."""
    expected = list(ResumableWeightedSampler([1.0, 2.0, 0.0], 50))
    assert expected == list(ResumableWeightedSampler(torch.tensor([1.0, 2.0, 0.0], requires_grad=True), 50))


def test_indices_of_64_bits_without_a_sign_are_indices():
    """Those that a position can hold; larger ones are refused and not turned into negative ones."""
    assert sorted(ResumableSubsetSampler(np.array([5, 2**63 - 1], dtype=np.uint64))) == [5, 2**63 - 1]
    with pytest.raises(ValueError, match=r"indices\[1\]=9223372036854775808"):
        ResumableSubsetSampler(np.array([5, 2**63], dtype=np.uint64))
