"""The last module that the fork server imports: what is there then is left to the ranks for good.

No collection of garbage and no exit handler of a rank walks through it, which would copy most of it into every rank.
"""

from __future__ import annotations

import gc
import weakref

for _finalizer in list(weakref.finalize._registry):  # type: ignore[attr-defined] # torch has thousands of them
    _finalizer.atexit = False
gc.collect()
gc.freeze()
gc.enable()
