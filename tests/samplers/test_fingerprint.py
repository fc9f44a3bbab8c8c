"""Digests and versions in a state."""

from importlib import metadata

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from resumable.samplers.fingerprint import order_fingerprint, writer
from resumable.samplers.orders import order_named


@given(num_samples=st.integers(0, 100), seeds=st.lists(st.integers(0, 10**9), min_size=2, max_size=2, unique=True))
def test_equal_digests_mean_equal_ends(num_samples, seeds):
    """Two orders have one digest exactly if they begin and end alike."""
    streams = [order_named("feistel").stream(num_samples=num_samples, seed=seed, epoch=0) for seed in seeds]
    ends = [
        [*stream.at(np.arange(min(32, num_samples))), *stream.at(np.arange(max(0, num_samples - 32), num_samples))]
        for stream in streams
    ]
    digests = [order_fingerprint(stream, num_samples) for stream in streams]
    assert (ends[0] == ends[1]) == (digests[0] == digests[1])


def test_a_digest_is_the_same_on_all_machines():
    """It is written into states that other machines read."""
    stream = order_named("sequential").stream(num_samples=1000, seed=0, epoch=0)
    assert order_fingerprint(stream, 1000) == "26e51db90348d683"


def test_the_writer_is_this_release_under_this_torch():
    """Plain strings: torch's own version is a subclass, which a safe load refuses."""
    assert (writer().torch, type(writer().torch)) == (str(torch.__version__), str)


def test_a_bare_checkout_writes_states_too(monkeypatch):
    """Without an installed distribution the version is unknown, which harms nothing."""

    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", absent)
    assert writer.__wrapped__().resumable == "unknown"
