from __future__ import annotations

import copy
import math
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


def test_figures_are_numbers_by_themselves_and_tensors_of_whole_numbers() -> None:
    """Not what is learnt, bytes, text, seeds and the state of any generator."""
    generators = [torch.get_rng_state(), np.random.get_state(), random.getstate(), np.random.default_rng(0)]
    state = {
        "model": torch.nn.BatchNorm1d(2).state_dict(),
        "random": [*generators, np.random.default_rng(0).bit_generator.state],
        "best": {"value": np.float32(0.5), "step": 7, "name": "seven", "is_new": True, "worst": math.inf},
        "counts": np.arange(3),
        "seed": 1 << 60,
    }
    figures = content_of(state).figures
    words = {name for name, one in figures.items() if isinstance(one, str) and name != "best/worst"}
    assert words == {"model/num_batches_tracked", "counts"}
    assert {name: one for name, one in figures.items() if name not in words} == {
        "best/value": 0.5,
        "best/step": 7,
        "best/is_new": 1,
        "best/worst": "inf",
    }


def test_many_figures_under_one_key_are_one_thing() -> None:
    """A history of losses would make each line as long as the training is."""
    short, long, other = ({"history": [0.5] * num, "step": 3} for num in (32, 33, 34))
    assert [len(content_of(one).figures) - 1 for one in (short, long, other)] == [32, 1, 1]
    assert content_of(long).figures["history"] != content_of(other).figures["history"]


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
