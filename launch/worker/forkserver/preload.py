"""What the fork server imports, so that a rank finds it there: torch, and what DDP and the optimizers import late.

`torch._dynamo` and what it brings along take a second or two in every rank that imports them itself.

It is the first module that the fork server imports, and switches the garbage collector off: while torch is imported the
collector finds nothing and takes a quarter of the time. `freeze`, the last one, switches it on again.
"""

from __future__ import annotations

import contextlib
import gc
import importlib

from resumable.launch.system import zstandard
from resumable.launch.system.environment import forget_compile_cache, has_compile_cache

_MODULES = (
    "resumable.launch.worker.entry",
    "torch._dynamo",
    "torch._dynamo.trace_rules",
    "torch._inductor",
    "torch.distributed._composable.replicate",
    "torch.distributed.checkpoint",
    "torch.distributed.elastic.multiprocessing.errors",
    "torch.distributed.tensor.parallel.ddp",
    "torch.nn.parallel",
    "torch.optim",
    "torch.profiler._cupti_monitor",
    "torch.utils.data.distributed",
    "torch.utils.serialization.config",
)
_STATE = {"list": [None, True, 1, 1.5, "text", b"bytes"], "tuple": ()}

gc.disable()
_has_cache = has_compile_cache()
for _module in _MODULES:
    # Some of them are torch's own affair: a release that moves one costs a rank its time, no more.
    with contextlib.suppress(ImportError):
        importlib.import_module(_module)
zstandard.is_there()  # the first line of evidence would import it
# What Python and the recorder work out with the first state that they look at.
importlib.import_module("resumable.launch.worker.fingerprint.states").state_fingerprint(_STATE)
if not _has_cache:
    forget_compile_cache()
