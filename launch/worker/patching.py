"""Puts functions around those of other people's modules, at once or when they are imported, and takes all of it back.

`wrapt` does it where a call costs much more than the wrapping does. What is called for every batch or module is wrapped by a
plain function instead: a `FunctionWrapper` adds 0.5 µs to a method's call, a plain function 0.15 µs.

`torch.compile` may not make anything else of a job because it is watched. Two ways lead it to a function of ours. It
follows a call within what it compiles: there a plain function steps aside, `if is_compiling(): return original(...)`, and
the compiler folds that away. Or it meets the frame of a call between two compiled parts, and would compile that: it is told
to skip the frames of plain functions, and what they call to take notes is `hidden`.
"""

from __future__ import annotations

import contextlib
import functools
import pkgutil
from collections.abc import Callable
from types import ModuleType
from typing import Any, ParamSpec, Self, TypeVar

import torch
import wrapt

from resumable.launch.worker.torch_private import COMPILER, compiler_of_frames, skip_frames_of

Args = tuple[Any, ...]
Kwargs = dict[str, Any]
Wrapper = Callable[[Callable[..., Any], Any, Args, Kwargs], Any]
"""Called in place of the original with: the original, bound if it is a method; its instance or None; the arguments."""
Undo = Callable[[], None]

_MISSING = object()
P = ParamSpec("P")
R = TypeVar("R")


class Patches:
    """What was patched, and can be taken back."""

    def __init__(self) -> None:
        self._undo = contextlib.ExitStack()
        self._is_undone = False

    def wrap(self, owner: Any, name: str, wrapper: Wrapper) -> Undo:
        """Have `wrapper` called in place of the function `owner.name`, which keeps its name, signature and pickle."""
        return self.replace(owner, name, _Wrapped(owner, name, wrapper))

    def wrap_hot(self, owner: Any, name: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Undo:
        """Replace `owner.name` by the plain function `make(original)`: for what is called with every batch."""
        original = getattr(owner, name)
        made = make(original)
        self.skip(made)
        return self.replace(owner, name, functools.wraps(original)(made))

    def hidden(self, function: Callable[P, R]) -> Callable[P, R]:
        """The same function, which `torch.compile` leaves alone with all that it calls."""
        hidden = function

        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            return (function if compiler_of_frames() is None else hidden)(*args, **kwargs)

        def hide(_compiler: ModuleType) -> None:
            nonlocal hidden
            hidden = torch.compiler.disable(function)  # type: ignore[no-untyped-call]

        self.skip(call)
        self.when_imported(COMPILER, hide)
        return call

    def traced(self, function: Callable[[], None]) -> Callable[[], None]:
        """A function that `torch.compile` calls when it comes to it, once, and leaves out of what it compiles."""

        def call() -> None:
            function()

        def leave_out(_compiler: ModuleType) -> None:
            torch.compiler.assume_constant_result(call)  # type: ignore[no-untyped-call]

        self.when_imported(COMPILER, leave_out)
        return call

    def skip(self, function: Callable[..., Any]) -> None:
        """Have `torch.compile` compile no frame of this one; it may those of what it calls."""
        self.when_imported(COMPILER, lambda _compiler: skip_frames_of(function))

    def replace(self, owner: Any, name: str, value: object) -> Undo:
        """Set `owner.name`.

        Returns:
            Takes this one back, once. Where somebody has replaced ours since, theirs stays.
        """
        before = vars(owner).get(name, _MISSING)
        setattr(owner, name, value)

        def undo() -> None:
            if vars(owner).get(name, _MISSING) is not value:
                return
            if before is _MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, before)

        return self.on_undo(undo)

    def on_undo(self, undo: Undo) -> Undo:
        """Have `undo` called, too, when all is taken back, the last one first."""
        self._undo.callback(undo)
        return undo

    def when_imported(self, name: str, action: Callable[[ModuleType], None]) -> None:
        """Call `action` with the module: now if it is imported already, else right after its import."""

        def act(module: ModuleType) -> None:
            if not self._is_undone:
                action(module)

        wrapt.register_post_import_hook(act, name)

    def undo(self) -> None:
        """Take everything back, and do nothing any more with modules that are yet to be imported."""
        self._is_undone = True
        self._undo.close()


class _Wrapped(wrapt.FunctionWrapper):  # type: ignore[type-arg] # wrapt 1 has no parameters there
    """A wrapped function that is copied and pickled as a function is: by its name.

    A script may hand `torch.save` to a process that it spawns. There the name stands for whatever that process has.
    """

    def __init__(self, owner: Any, name: str, wrapper: Wrapper) -> None:
        super().__init__(wrapt.resolve_path(owner, name)[2], wrapper)
        place = owner.__name__ if isinstance(owner, ModuleType) else f"{owner.__module__}:{owner.__qualname__}"
        self._self_place = f"{place}.{name}" if ":" in place else f"{place}:{name}"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        return self

    def __reduce_ex__(self, _protocol: object) -> tuple[Callable[[str], Any], tuple[str]]:
        return pkgutil.resolve_name, (self._self_place,)
