from __future__ import annotations

import copy
import random
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from resumable.launch.worker.fingerprint.content import content_of, keys_of


def saved() -> dict[str, object]:
    """A checkpoint as scripts make them."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(300, 300), nn.BatchNorm1d(300))
    return {
        "model": model.state_dict(),
        "whole model": model,
        "average": {name: one.detach().numpy() for name, one in model.named_parameters()},
        "random": [torch.get_rng_state(), np.random.get_state(), random.getstate()],
        "step": 3,
        "time": 17.5,
    }


def learnt(state: object) -> dict[str, str]:
    return content_of(state).numbers


def test_numbers_are_told_of_what_is_learnt_alone() -> None:
    """Counters, times and the state of generators may differ where training does not."""
    state = saved()
    assert learnt(state).keys() == {"model", "whole model", "average"}
    assert content_of(state).fingerprints.keys() == state.keys() == keys_of(state)
    torch.manual_seed(1)
    other = {**state, "random": [torch.get_rng_state(), np.random.RandomState(1).get_state()], "step": 4, "time": 0.0}
    assert learnt(other) == learnt(state)


def in_the_middle(state: dict[str, nn.Module]) -> None:
    state["whole model"][0].weight.data[200, 17] += 1


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("model", lambda state: state["model"]["0.weight"][200, 17].add_(1)),
        ("whole model", in_the_middle),
        ("average", lambda state: state["average"]["0.weight"].__setitem__((200, 17), 0)),
        ("average", lambda state: state["average"].pop("1.bias")),
    ],
    ids=["tensor", "module", "array", "name"],
)
def test_a_change_anywhere_shows_under_its_key_and_no_other(key: str, change: Callable[..., object]) -> None:
    """However far from the beginning of a tensor."""
    before, after = saved(), copy.deepcopy(saved())
    change(after)
    assert [key] == [name for name, one in learnt(before).items() if learnt(after)[name] != one]


@pytest.mark.parametrize("state", [{str(number): torch.ones(1) for number in range(100)}, [torch.ones(1)]])
def test_a_bare_state_dict_is_one_thing(state: object) -> None:
    """Hundreds of names would be hundreds of digests in every line."""
    assert learnt(state).keys() == content_of(state).fingerprints.keys() == {""}


def test_what_contains_itself_has_an_end() -> None:
    """torch saves it, so the watch must not fail."""
    knot: dict[str, object] = {"weights": torch.ones(1)}
    knot["self"] = knot
    assert learnt(knot).keys() == {"weights", "self"}
