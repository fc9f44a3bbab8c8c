"""Who asks: the objects on whose behalf a call is made."""

import sys
from collections.abc import Iterator
from types import FrameType

from resumable.samplers.frameworks.private_names import NUM_WORKERS


def callers() -> Iterator[object]:
    """Yield the `self` of each method that the present call comes from, however indirectly, the nearest first.

    A sampler sees only `next()`, and a loader only an attribute that somebody reads; what they may answer depends on
    who it is. Time grows with the depth of the stack; meant for once a pass.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if "self" in frame.f_code.co_varnames and "self" in frame.f_locals:
            yield frame.f_locals["self"]
        frame = frame.f_back


def inside_prefetching_loader() -> bool:
    """Return whether the iterator of a loader with worker processes asks, which fetches batches before they are wanted.

    A loader with two workers draws some four batches before the loop gets the first. The iterators of torch's and of
    torchdata's loaders both carry their number of workers.
    """
    numbers = (getattr(caller, NUM_WORKERS, 0) for caller in callers())
    return any(isinstance(number, int) and number > 0 for number in numbers)


def inside_dropping_batch_sampler() -> bool:
    """Return whether a batch sampler asks that drops a last batch which is not full.

    torch's has these attributes, and so has the iterator of torchdata's, which is no batch sampler itself.
    """
    return any(
        getattr(caller, "drop_last", False) is True and hasattr(caller, "batch_size") and hasattr(caller, "sampler")
        for caller in callers()
    )
