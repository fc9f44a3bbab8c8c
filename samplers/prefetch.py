"""Notices when a sampler is driven by a loader that fetches batches ahead of the training loop."""

import sys
from types import FrameType


def inside_prefetching_loader() -> bool:
    """Return whether this call comes, however indirectly, from the iterator of a loader with worker processes.

    A sampler sees only `next()`, which a loader with two workers calls some four batches before the loop gets the
    first. The iterators of torch's and of torchdata's loaders both carry their number of workers, and one of them is
    then a `self` on the stack. Time grows with the depth of the stack; meant for once a pass.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        owner = frame.f_locals.get("self") if "self" in frame.f_code.co_varnames else None
        num_workers = getattr(owner, "_num_workers", 0)
        if isinstance(num_workers, int) and num_workers > 0:
            return True
        frame = frame.f_back
    return False
