"""The digest of an order, and the versions that a state names as its writer."""

import hashlib
from functools import cache
from importlib import metadata

import numpy as np
import torch

from resumable.samplers.orders import Stream
from resumable.samplers.state import Writer

_NUM_ENDS = 32


def order_fingerprint(stream: Stream, num_samples: int) -> str:
    """Return a digest of the first and last 32 samples of a stream: 16 hexadecimal digits, the same on all machines."""
    head = stream.at(range(min(_NUM_ENDS, num_samples)))
    tail = stream.at(range(max(0, num_samples - _NUM_ENDS), num_samples))
    ends = np.concatenate([head, tail]).astype("<i8")
    return hashlib.blake2b(ends.tobytes(), digest_size=8).hexdigest()


@cache
def writer() -> Writer:
    """Return the versions that a state written by this process names."""
    try:
        resumable = metadata.version("resumable")
    except metadata.PackageNotFoundError:
        # The package works from a bare checkout as well.
        resumable = "unknown"
    # torch's version is a subclass of str, which torch.load(weights_only=True) refuses.
    return Writer(resumable=resumable, torch=str(torch.__version__))
