"""What the fork server imports, so that a rank finds it there: torch, and what DDP and the optimizers import late.

`torch._dynamo` and what it brings along take a second or two in every rank that imports them itself.

It is the last module that the fork server imports, and leaves all that is there to the ranks for good: no collection of
garbage and no exit handler walks through it, which would copy most of its memory into every rank.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import weakref

_MODULES = (
    "launch.worker.entry",
    "torch._dynamo",
    "torch._dynamo.trace_rules",
    "torch._inductor",
    "torch.distributed._composable.replicate",
    "torch.distributed.checkpoint",
    "torch.distributed.elastic.multiprocessing.errors",
    "torch.distributed.tensor.parallel.ddp",
    "torch.nn.parallel",
    "torch.optim",
    "torch.utils.data.distributed",
)

for _module in _MODULES:
    # Some of them are torch's own affair: a release that moves one costs a rank its time, no more.
    with contextlib.suppress(ImportError):
        importlib.import_module(_module)


def _leave_for_good() -> None:
    """Take what exists now out of garbage collection and out of the exits of processes that are forked from this one."""
    for finalizer in list(weakref.finalize._registry):  # type: ignore[attr-defined] # torch has thousands of them
        finalizer.atexit = False
    gc.collect()
    gc.freeze()


_leave_for_good()
