from __future__ import annotations

from collections import namedtuple

import numpy as np
import pytest
import torch

from resumable.launch.worker.digest import content_digest, saved_content, state_digest

Pair = namedtuple("Pair", "a b")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([1, [2]], [[1], 2]),
        (torch.tensor([1.0]), torch.tensor([1])),
        (torch.zeros(2, 3), torch.zeros(3, 2)),
        ({"a": 1}, {"b": 1}),
        ("1", 1),
        (b"ab", "ab"),
        (Pair(1, torch.tensor(2)), Pair(1, torch.tensor(3))),
        (torch.tensor([1.0], dtype=torch.bfloat16), torch.tensor([2.0], dtype=torch.bfloat16)),
        (np.array([1, 2]), np.array([2, 1])),
        (np.array(["a", {}], dtype=object), np.array(["b", {}], dtype=object)),
    ],
    ids=repr,
)
def test_different_contents_have_different_digests(one: object, other: object) -> None:
    """Values, shapes, types and nesting all count; the same content gives the same digest again."""
    assert content_digest(one) != content_digest(other)
    assert content_digest(one) == content_digest(one)


def test_a_view_digests_as_its_copy() -> None:
    """Memory layout does not count."""
    tensor = torch.arange(12).reshape(3, 4)
    assert content_digest(tensor.T) == content_digest(tensor.T.contiguous())


def test_a_step_anywhere_in_the_head_of_a_parameter_shows() -> None:
    """The quick digest sees the first 64 KiB of each tensor, the whole one everything."""
    parameter = torch.nn.Parameter(torch.zeros(100_000))
    quick, whole = state_digest([parameter], whole=False), state_digest([parameter], whole=True)
    parameter.data[-1] = 1.0
    assert state_digest([parameter], whole=False) == quick
    assert state_digest([parameter], whole=True) != whole
    parameter.data[0] = 1.0
    assert state_digest([parameter], whole=False) != quick


def test_empty_and_scalar_parameters_have_a_digest() -> None:
    """Odd shapes are no special case."""
    assert state_digest([torch.tensor(1.0), torch.empty(0)], whole=True) != state_digest([], whole=True)


def test_what_is_saved_is_known_by_its_floating_point_tensors() -> None:
    """Under the keys of the outermost mapping; counters and random states are left out."""
    state = {"model": {"a": torch.ones(2), "b": [torch.zeros(1)]}, "step": 3, "rng": torch.get_rng_state()}
    assert saved_content(state).keys() == {"model"}
    assert saved_content(state) == saved_content({**state, "step": 4})
    state["model"]["b"][0] += 1
    assert saved_content(state) != saved_content({**state, "model": {"a": torch.ones(2), "b": [torch.zeros(1)]}})


def test_a_bare_state_dict_is_one_thing() -> None:
    """Hundreds of names would be hundreds of digests in every line."""
    assert saved_content({str(number): torch.ones(1) for number in range(100)}).keys() == {""}
    assert saved_content([torch.ones(1)]).keys() == {""}


def test_what_contains_itself_has_an_end() -> None:
    """torch saves it, so the watch must not fail."""
    knot: dict[str, object] = {"weights": torch.ones(1)}
    knot["self"] = knot
    assert saved_content(knot).keys() == {"weights", "self"}
