from __future__ import annotations

from collections import namedtuple

import numpy as np
import pytest
import torch

from resumable.launch.worker.digest import content_digest

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
