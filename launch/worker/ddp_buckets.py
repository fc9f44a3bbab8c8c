"""Keeps sums in the order in which they were first added, so that states can be compared to the last bit."""

from __future__ import annotations

import torch.distributed as dist

from resumable.launch.worker.patching import Patches
from resumable.launch.worker.torch_private import REBUILD_BUCKETS


def keep_buckets(patches: Patches) -> None:
    """Let DDP keep the buckets that it starts with.

    DDP lays its buckets out again after the first backward pass of a process. With three ranks or more the elements then lie
    elsewhere in gloo's ring and are added in a different order, so that a process that was restarted in between rounds
    differently from one that was not: no fault of the script's, but not the same bits.
    """
    patches.replace(dist.Reducer, REBUILD_BUCKETS, lambda _reducer: False)
