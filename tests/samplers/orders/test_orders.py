"""What every order keeps to."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resumable.samplers.orders import order_named

ORDERS = ["sequential/1", "randperm/1", "feistel/1", "feistel/2"]


@pytest.mark.parametrize("name", ORDERS)
@given(num_samples=st.integers(1, 400), seed=st.integers(-5, 2**40), epoch=st.integers(0, 10**6), data=st.data())
def test_a_stream_is_a_permutation_that_can_be_read_from_anywhere(name, num_samples, seed, epoch, data):
    """Any stride of positions holds what the whole order holds there, and the whole order holds each sample once."""
    whole = order_named(name).stream(num_samples=num_samples, seed=seed, epoch=epoch).at(np.arange(num_samples))
    start, step = data.draw(st.integers(0, num_samples - 1)), data.draw(st.integers(1, num_samples))
    part = (
        order_named(name)
        .stream(num_samples=num_samples, seed=seed, epoch=epoch)
        .at(np.arange(start, num_samples, step))
    )
    assert list(range(num_samples)) == sorted(whole.tolist())
    assert whole[start::step].tolist() == part.tolist()
    assert np.issubdtype(part.dtype, np.integer)


@pytest.mark.parametrize(
    ("name", "num_samples", "seed", "epoch", "head"),
    [
        ("sequential/1", 12, 3, 4, [0, 1, 2, 3, 4]),
        ("randperm/1", 12, 3, 4, [3, 4, 0, 5, 7]),
        ("feistel/1", 12, 3, 4, [0, 2, 3, 7, 6]),
        ("feistel/1", 1000000000, 3, 4, [267404070, 664559660, 840703144, 616260629, 157920554]),
        ("feistel/2", 12, 3, 4, [9, 10, 8, 4, 11]),
        ("feistel/2", 1000000000, 3, 4, [302709664, 81744466, 14442652, 526743357, 628153703]),
        (
            "feistel/1",
            4611686018427387903,
            -5,
            1099511627776,
            [1569794315679147878, 2331308943551041810],
        ),
    ],
)
def test_an_order_never_changes_under_its_name(name, num_samples, seed, epoch, head):
    """A version is a promise: checkpoints that name it must find the same samples."""
    stream = order_named(name).stream(num_samples=num_samples, seed=seed, epoch=epoch)
    assert head == stream.at(np.arange(len(head))).tolist()


@pytest.mark.parametrize(
    ("name", "full"), [("feistel", "feistel/2"), ("feistel/1", "feistel/1"), ("randperm/1", "randperm/1")]
)
def test_an_order_is_found_with_and_without_its_version(name, full):
    """Without a version the newest of its kind is meant."""
    assert full == order_named(name).name


@pytest.mark.parametrize("name", ["feistel/3", "random", "", "feist"])
def test_an_unknown_order_is_told_with_the_known_ones(name):
    """A state of a later version is not read with an earlier order."""
    with pytest.raises(ValueError, match=r"expected one of sequential/1, randperm/1, feistel/1, feistel/2"):
        order_named(name)
