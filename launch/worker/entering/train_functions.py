"""Frameworks that call the training function in a process that outlives it: the function's end is the rank's.

A worker of Ray Train is killed once the function is done, and what the function raises goes to Ray's controller. Nothing
else in such a process says how it ended.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from types import ModuleType
from typing import Any

from resumable.launch.worker.patching import Args, Kwargs, Patches
from resumable.launch.worker.torch_private import RAY_RUNNERS

EndOfFunction = Callable[[BaseException | None], None]
"""Gets what the function raised; None: it returned."""


class TrainFunctionWatch:
    """Says when a training function has ended, and how.

    Args:
        ended: Is told, in the function's thread.
    """

    def __init__(self, ended: EndOfFunction) -> None:
        self._ended = ended

    def install(self, patches: Patches) -> None:
        """Wrap what starts training functions, when it is imported."""
        for module, runner in RAY_RUNNERS.items():
            patches.when_imported(module, partial(self._install, patches, runner))

    def _install(self, patches: Patches, runner: str, module: ModuleType) -> None:
        owner, _, method = runner.partition(".")
        patches.wrap(getattr(module, owner), method, self._around_runner)

    def _around_runner(self, original: Callable[..., Any], _runner: Any, args: Args, kwargs: Kwargs) -> Any:
        """Of Ray's runners either takes the function by name, or as the only argument."""
        if "target" in kwargs:
            return original(*args, **{**kwargs, "target": self._watched(kwargs["target"])})
        return original(self._watched(args[0]), *args[1:], **kwargs)

    def _watched(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                result = function(*args, **kwargs)
            except BaseException as error:
                self._ended(error)
                raise
            self._ended(None)
            return result

        return call
