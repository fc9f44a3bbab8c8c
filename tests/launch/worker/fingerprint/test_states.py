from __future__ import annotations

import random
from collections import OrderedDict, namedtuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from resumable.launch.evidence.fingerprints import Fingerprint, total
from resumable.launch.worker.fingerprint.states import state_fingerprint, state_fingerprints

Pair = namedtuple("Pair", "a b")
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.binary(max_size=5)
STATES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)


class Opaque:
    """Something that nobody can look into."""


@given(STATES)
def test_a_state_is_the_sum_of_its_leaves(state: object) -> None:
    """By key path; the same state gives the same fingerprints again."""
    fingerprints = state_fingerprints(state)
    assert state_fingerprint(state) == total(fingerprints.values())
    assert state_fingerprints(state) == fingerprints


@given(STATES, STATES)
def test_different_states_have_different_fingerprints(one: object, other: object) -> None:
    """Values, types and places in the nest count; NaN is NaN."""
    assert (state_fingerprint(one) == state_fingerprint(other)) == (repr(one) == repr(other) or is_same(one, other))


def is_same(one: object, other: object) -> bool:
    """Equal in all leaves, whatever the order of keys."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same, one, other))
    return repr(one) == repr(other)


def test_paths_lead_to_the_leaves() -> None:
    """Keys and numbers, with "/" between them."""
    state = {"net": OrderedDict(weight=torch.zeros(2)), "opt": {"state": {0: (1, 2)}}, "empty": {}}
    assert list(state_fingerprints(state)) == ["net/weight", "opt/state/0/0", "opt/state/0/1", "empty"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([1, [2]], [[1], 2]),
        ({"a": 1}, {"b": 1}),
        ({}, []),
        (Pair(1, torch.tensor(2)), Pair(1, torch.tensor(3))),
        (np.array([1, 2]), np.array([2, 1])),
        (np.array([1, 2]), np.array([1, 2], dtype=np.uint8)),
        (np.array(["a", {}], dtype=object), np.array(["b", {}], dtype=object)),
        (np.float32(1), np.float32(2)),
        (np.datetime64("2026-01-01"), np.datetime64("2026-01-02")),
        ({1, 2}, {1, 3}),
        (0.0, -0.0),
        (torch.float32, torch.float16),
        (torch.Generator().manual_seed(0), torch.Generator().manual_seed(1)),
        (np.random.default_rng(0), np.random.default_rng(1)),
        (np.random.RandomState(0), np.random.RandomState(1)),
        (random.Random(0), random.Random(1)),
        (Opaque(), Pair),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_tensor_counts_too(one: object, other: object) -> None:
    """Arrays of any type, sets, numbers, generators."""
    assert state_fingerprint(one) != state_fingerprint(other)
    assert state_fingerprint(one) == state_fingerprint(one)


def test_generators_count_by_their_state() -> None:
    """One that was set to the same state is the same, and reading it draws nothing."""
    generator = torch.Generator().manual_seed(3)
    state = generator.get_state()
    torch.rand(3, generator=generator)
    moved = state_fingerprint(generator)
    generator.set_state(state)
    assert state_fingerprint(torch.Generator().manual_seed(3)) == state_fingerprint(generator) != moved


def test_a_state_that_contains_itself_comes_to_an_end() -> None:
    """What is nested deeper than anybody nests on purpose is not followed."""
    state: dict[str, object] = {"a": 1}
    state["self"] = state
    assert state_fingerprint(state) == state_fingerprint(state)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.empty(3, device="meta"),
        torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged),
        torch.ones(3).as_subclass(type("Own", (torch.Tensor,), {})),
        torch.nn.Parameter(torch.ones(3)),
        torch.ones(0, 3),
        torch.tensor(1.5),
    ],
    ids=lambda tensor: type(tensor).__name__,
)
def test_tensors_of_any_kind_have_a_fingerprint(tensor: torch.Tensor) -> None:
    """Empty ones, scalars, subclasses, those of several tensors, those without memory."""
    assert state_fingerprint([tensor]) == state_fingerprint([tensor]) != state_fingerprint([None])


def test_tensors_inside_a_tensor_count() -> None:
    """A subclass that is made of tensors is taken apart as torch takes it apart."""
    one, other = (
        torch.nested.nested_tensor([torch.ones(2), torch.full((3,), end)], layout=torch.jagged) for end in (1.0, 2.0)
    )
    assert state_fingerprint(one) != state_fingerprint(other)


def test_a_parameter_is_the_same_as_its_tensor() -> None:
    """Also where gradients are needed, and in the quick form."""
    tensor = torch.randn(3000)
    for is_whole in (True, False):
        expected = state_fingerprint({"p": tensor}, is_whole=is_whole)
        assert state_fingerprint({"p": torch.nn.Parameter(tensor)}, is_whole=is_whole) == expected


def test_nothing_has_the_fingerprint_of_nothing() -> None:
    """The sum over no leaves."""
    assert total([]) == Fingerprint()
