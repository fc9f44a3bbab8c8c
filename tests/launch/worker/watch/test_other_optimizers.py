from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from resumable.launch.worker.watch.other_optimizers import OtherOptimizers


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    """What earlier tests have left is not looked at."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


class Library:
    """An optimizer that is none of torch's."""

    def __init__(self, *groups: Any) -> None:
        self.param_groups = list(groups)
        self.state = {"of": "the library"}

    def step(self) -> None:
        """Not called."""

    def zero_grad(self) -> None:
        """Not called."""


class Broken(Library):
    @property
    def param_groups(self) -> Any:
        raise RuntimeError("not yet")

    @param_groups.setter
    def param_groups(self, groups: Any) -> None:
        """They are not kept."""


def found(others: OtherOptimizers) -> list[tuple[list[torch.Tensor], dict[Any, Any]]]:
    return [([one for group in groups for one in group["params"]], state) for groups, state in others.groups()]


def looked() -> OtherOptimizers:
    others = OtherOptimizers()
    others.look()
    return others


def test_an_optimizer_of_another_library_is_known_by_what_it_can_do():
    """Its parameters and its state are those of one of torch's; what it does not hold the script may train itself."""
    held, free = torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(1))
    frozen = torch.nn.Parameter(torch.ones(3), requires_grad=False)
    library = Library({"params": [held], "lr": 0.1})
    (first, state), (second, nothing) = found(looked())
    assert (first[0] is held, state, second[0] is free, len(second), nothing) == (True, library.state, True, 1, {})
    assert not frozen.requires_grad


@pytest.mark.parametrize("group", [{"params": ["a name"]}, {}, "no group"], ids=["no tensors", "empty", "text"])
def test_what_only_looks_like_one_is_none(group: Any):
    """Nothing of it is kept, and nothing is raised."""
    strangers = [Library(group), Broken(group)]
    assert found(looked()) == []
    assert len(strangers) == 2


def test_what_is_gone_is_not_there_and_what_comes_then_is_found():
    """A library may make a new optimizer for each fit."""
    others = OtherOptimizers()
    parameter = torch.nn.Parameter(torch.ones(2))
    first = Library({"params": [parameter]})
    others.look()
    del first, parameter
    assert not others.are_there
    second = torch.nn.Parameter(torch.ones(1))
    others.look()
    assert [one is second for one in others.alive()] == [True]


def test_a_process_that_trains_nothing_is_not_searched_for_ever():
    """A look costs time."""
    others = OtherOptimizers()
    for _ in range(4):
        others.look()
    late = torch.nn.Parameter(torch.ones(1))
    others.look()
    assert (found(others), late.requires_grad) == ([], True)
