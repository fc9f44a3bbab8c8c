"""Knows the objects of some classes that this process has made and still has."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from resumable.launch.worker.patching import Args, Kwargs, Patches


class Instances:
    """Objects of these classes and of those that build on them, in the order in which they were made.

    Args:
        kinds: Classes whose construction is watched.
    """

    def __init__(self, *kinds: type) -> None:
        self._kinds = kinds
        self._made: list[weakref.ref[Any]] = []

    def install(self, patches: Patches) -> None:
        """Wrap their construction."""
        for kind in self._kinds:
            patches.wrap(kind, "__init__", self._around_init)

    def alive(self) -> list[Any]:
        """Those that still exist, each once."""
        if not self._made:
            return []
        made = {id(instance): instance for reference in self._made if (instance := reference()) is not None}
        return list(made.values())

    def _around_init(self, original: Callable[..., None], instance: Any, args: Args, kwargs: Kwargs) -> None:
        original(*args, **kwargs)
        self._made = [reference for reference in self._made if reference() is not None]
        self._made.append(weakref.ref(instance))
