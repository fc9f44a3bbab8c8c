"""Keeps the order of summation the same in every incarnation, so that states can be compared to the last bit.

DDP lays its buckets out anew after the first backward pass of a process. With three ranks or more the elements then lie
elsewhere in gloo's ring and are added in another order, so that a process that was restarted in between rounds otherwise
than one that was not: no fault of the script's, but not the same bits.
"""

from __future__ import annotations

import torch.distributed as dist

from resumable.launch.worker.patching import Patches


def keep_buckets(patches: Patches) -> None:
    """Let DDP keep the buckets that it starts with."""
    patches.replace(dist.Reducer, "_rebuild_buckets", lambda _reducer: False)  # type: ignore[attr-defined]
