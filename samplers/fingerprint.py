"""The digest of an order, and the versions that a state names as its writer."""

import hashlib
from functools import cache
from importlib import metadata

import numpy as np
import torch

from resumable.samplers.groups import Groups
from resumable.samplers.orders import Stream
from resumable.samplers.state import Writer

_NUM_ENDS = 32


def order_fingerprint(stream: Stream, length: int | None, groups: Groups | None = None) -> str:
    """Return a digest of the first and last 32 samples of a stream: 16 hexadecimal digits, the same on all machines.

    Args:
        stream: The stream.
        length: Its length; None if it does not end, and has no last samples.
        groups: How it is cut; what that depends on, as the samples' lengths, goes into the digest too.
    """
    first = min(_NUM_ENDS, _NUM_ENDS if length is None else length)
    last = range(0) if length is None else range(max(0, length - _NUM_ENDS), length)
    positions = np.array([*range(first), *last], dtype=np.int64)
    ends = stream.at(positions).astype("<i8")
    mark = b"" if groups is None else groups.mark(ends)
    return hashlib.blake2b(ends.tobytes() + mark, digest_size=8).hexdigest()


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
