from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import grad, jvp, vmap
from torch.masked import masked_tensor

from resumable.launch.worker.digest import content_digest
from resumable.launch.worker.fingerprint.states import state_fingerprint

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


def fake(values: list[float]) -> torch.Tensor:
    """Of a mode in which tensors have no elements."""
    return FakeTensorMode().from_tensor(torch.tensor(values))


def ragged(values: list[float], layout: torch.layout) -> torch.Tensor:
    """Rows of different lengths."""
    return torch.nested.nested_tensor([torch.tensor(values), torch.ones(3)], layout=layout)


@pytest.mark.filterwarnings("ignore")  # torch's own, of prototypes
@pytest.mark.parametrize(
    "make",
    [
        lambda values: torch.tensor(values, device="meta"),
        fake,
        lambda values: ragged(values, torch.strided),
        lambda values: masked_tensor(torch.tensor(values), torch.tensor([True, False])),
        lambda values: torch.nn.LazyLinear(len(values)).weight,
    ],
    ids=["meta", "fake", "ragged", "masked", "lazy"],
)
def test_a_tensor_that_cannot_be_read_ends_no_job(make: Callable[[list[float]], torch.Tensor]) -> None:
    """It counts by its type alone, in what is saved too."""
    assert content_digest(make([1.0, 2.0])) == content_digest(make([1.0, 3.0]))
    assert state_fingerprint(make([1.0, 2.0])) == state_fingerprint(make([1.0, 3.0]))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "make",
    [
        lambda values: ragged(values, torch.jagged),
        lambda values: torch.complex(torch.tensor(values), torch.ones(2)).conj(),
        lambda values: torch.diag(torch.tensor(values)).to_sparse_csr(),
    ],
    ids=["jagged", "conjugate", "compressed"],
)
def test_a_tensor_in_an_unusual_form_counts_by_its_content(make: Callable[[list[float]], torch.Tensor]) -> None:
    """Whatever it is made of."""
    assert content_digest(make([1.0, 2.0])) == content_digest(make([1.0, 2.0]))
    assert content_digest(make([1.0, 2.0])) != content_digest(make([1.0, 3.0]))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("transform", [grad, vmap, lambda f: lambda x: jvp(f, (x,), (x,))], ids=["grad", "vmap", "jvp"])
def test_a_transform_of_torch_func_is_seen_through(transform: Callable[..., Callable[..., object]]) -> None:
    """A model within `grad` or `vmap` is fed the batch, not a wrapper without memory."""
    batch = torch.arange(3.0)
    digests: list[str] = []

    def loss(x: torch.Tensor) -> torch.Tensor:
        digests.append(content_digest(x))
        return (x * x).sum()

    transform(loss)(batch)
    assert [content_digest(batch)] == digests
