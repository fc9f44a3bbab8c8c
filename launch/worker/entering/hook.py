"""The first stage, in every interpreter of a recorded job: it waits for torch, and a program without torch hardly feels it.

It is called from a `.pth` file, which Python runs at each start, or from a `sitecustomize` module. Agents, launchers and
loader workers come by here as well as ranks: which of them this process is shows later.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType

_TORCH = "torch"


@functools.cache
def enter() -> None:
    """Record this process from the moment when it imports torch, if its environment asks for it. Twice is once.

    Whatever goes wrong is said, and never ends or changes the program.
    """
    try:
        from resumable.launch.system.environment import recording  # noqa: PLC0415 - nothing before it is asked for

        wanted = recording()
        if wanted is None:
            return

        def awake() -> None:
            from resumable.launch.worker.entering.process import RecordedProcess  # noqa: PLC0415 - it imports torch

            RecordedProcess(wanted).install()

        if _TORCH in sys.modules:
            awake()
        else:
            sys.meta_path.insert(0, _WaitingFinder(awake))
    except Exception as error:  # the interpreter may be one in which what the recorder needs is not installed
        _complain(error)


class _WaitingFinder:
    """Finds nothing itself, and calls a function once torch has been imported; wrapt, which can do it too, imports asyncio.

    Args:
        awake: The function; whatever it raises is said.
    """

    def __init__(self, awake: Callable[[], None]) -> None:
        self._awake = awake

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        """Of torch, as the other finders find it, with a loader that calls the function."""
        if name != _TORCH:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                load(module)
                try:
                    self._awake()
                except Exception as error:  # a program that only imports torch must not suffer
                    _complain(error)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _complain(error: Exception) -> None:
    from resumable.launch.system.standard_error import say  # noqa: PLC0415 - nothing before it is asked for

    say(f"resumable: this process is not recorded: {type(error).__name__}: {error}")
