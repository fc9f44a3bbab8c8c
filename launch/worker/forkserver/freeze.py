"""The last module that the fork server imports: what is there then is left to the ranks for good.

No collection of garbage and no exit handler of a rank walks through it, which would copy most of it into every rank.
"""

from __future__ import annotations

import gc

from resumable.launch.worker.torch_private import finalizers

for _finalizer in finalizers():
    _finalizer.atexit = False
gc.collect()
gc.freeze()
gc.enable()
