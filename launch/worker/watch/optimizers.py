"""Watches the optimizers: the parameters that they train, and what they keep about them."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import torch

from resumable.launch.worker.patching import Args, Kwargs, Patches
from resumable.launch.worker.torch_private import partition_of
from resumable.launch.worker.watch.other_optimizers import OtherOptimizers


@dataclass(eq=False)
class Held:
    """What an optimizer holds. It outlives the optimizer by as long as somebody needs to look at it.

    Args:
        groups: The groups of parameters that it trains.
        state: What is kept about each of them.
        is_partition: It keeps the state of its part of the parameters, and other ranks that of the rest.
        has_stepped: It took part in the training.
    """

    groups: list[dict[str, Any]] = field(default_factory=list)
    state: dict[Any, Any] = field(default_factory=dict)
    is_partition: bool = False
    has_stepped: bool = False

    def follow(self, optimizer: torch.optim.Optimizer) -> None:
        """Look at the optimizer again: loading a state makes it new."""
        self.groups = getattr(optimizer, "param_groups", [])
        self.state = getattr(optimizer, "state", {})

    @property
    def parameters(self) -> list[torch.Tensor]:
        """Those of all groups."""
        return list(chain.from_iterable(group["params"] for group in self.groups))

    def states(self) -> list[tuple[Any, Any]]:
        """What is kept about each parameter of which anything is."""
        return [(key, state) for key, state in self.state.items() if not _is_nothing(state)]

    def kept(self) -> list[Any]:
        """All that is kept, without the names of what it is."""
        states = self.state.values()
        if set(map(type, states)) <= {dict}:  # with each step: of most optimizers, and soon done
            return list(chain.from_iterable(map(dict.values, states)))
        parts = (
            state.values() if isinstance(state, dict) else () if _is_nothing(state) else (state,) for state in states
        )
        return list(chain.from_iterable(parts))


def _is_nothing(state: Any) -> bool:
    return state is None or (isinstance(state, Mapping) and not state)


class OptimizerWatch:
    """Knows the optimizers of this process.

    Args:
        on_last_end: Called when the last of the optimizers that trained is gone, or the last of all where none has, with
            what those held that did not outlive the last step: a script's function `main` may have returned.
    """

    def __init__(self, on_last_end: Callable[[list[Held]], None]) -> None:
        self._on_last_end = on_last_end
        self._held: dict[int, tuple[weakref.ref[torch.optim.Optimizer], Held]] = {}
        self._ended: list[Held] = []
        """Of optimizers that are gone, since the last step."""
        self.has_trained = False
        """One of them made a step."""
        self.others: OtherOptimizers | None = OtherOptimizers()
        """What trains in their place; None once there was one of torch's."""

    def install(self, patches: Patches) -> None:
        """Wrap their construction."""
        patches.wrap(torch.optim.Optimizer, "__init__", self._around_init)

    def look(self) -> None:
        """Training is about to begin: as long as none is one of torch's, find what else trains."""
        if self.others is not None:
            self.others.look()

    def held(self) -> list[Held]:
        """What those that still exist hold now, in the order in which they were made."""
        alive = [
            (optimizer, own) for reference, own in list(self._held.values()) if (optimizer := reference()) is not None
        ]
        partitions = {id(part): optimizer for optimizer, _ in alive if (part := partition_of(optimizer)) is not None}
        for optimizer, own in alive:
            own.follow(optimizer)
            own.is_partition = id(optimizer) in partitions
            if partition_of(optimizer) is not None:
                own.state = {}
        if self.others is not None:
            return [Held(groups, state, has_stepped=True) for groups, state in self.others.groups()]
        return [own for _, own in alive]

    def counts(self, held: Held) -> bool:
        """Whether this belongs to what the process ends with: it took part in the training, unless there was none."""
        return held.has_stepped or not self.has_trained

    def note_step(self, optimizer: torch.optim.Optimizer) -> None:
        """This one has trained: what ended before it did not outlive the training."""
        self.has_trained = True
        self._ended.clear()
        if id(optimizer) not in self._held:  # a copy
            self._track(optimizer)
        self._held[id(optimizer)][1].has_stepped = True

    def note_steps(self) -> None:
        """Nobody knows which has trained, so all that exist have."""
        for reference, _ in list(self._held.values()):
            optimizer = reference()
            if optimizer is not None:
                self.note_step(optimizer)

    def _around_init(
        self, original: Callable[..., None], optimizer: torch.optim.Optimizer, args: Args, kwargs: Kwargs
    ) -> None:
        original(*args, **kwargs)
        self._track(optimizer)

    def _track(self, optimizer: torch.optim.Optimizer) -> None:
        self.others = None
        held = Held()
        held.follow(optimizer)
        self._held[id(optimizer)] = weakref.ref(optimizer), held
        weakref.finalize(optimizer, self._end, id(optimizer), held).atexit = False

    def _end(self, key: int, held: Held) -> None:
        """The optimizer is gone; its parameters are there as long as `held` is."""
        self._held.pop(key, None)
        if not self.counts(held):
            return
        self._ended.append(held)
        if not any(self.counts(own) for _, own in self._held.values()):
            ended, self._ended = self._ended, []
            self._on_last_end(ended)


def parameters_of(held: Iterable[Held]) -> Iterator[tuple[str, torch.Tensor]]:
    """Every parameter once, with the place that tells it if no module has a name for it."""
    seen: set[int] = set()
    for number, own in enumerate(held):
        for group_number, group in enumerate(own.groups):
            for place, parameter in enumerate(group["params"]):
                if id(parameter) not in seen:
                    seen.add(id(parameter))
                    yield f"{number}/{group_number}/{place}", parameter
