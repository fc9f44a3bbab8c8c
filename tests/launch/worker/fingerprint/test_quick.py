from __future__ import annotations

import weakref

import numpy as np
import pytest
import torch
from torch import nn

from resumable.launch.evidence.fingerprints import Fingerprint
from resumable.launch.worker.fingerprint.quick import Named, QuickForm
from resumable.launch.worker.fingerprint.states import state_fingerprint
from tests.launch.worker.fingerprint.test_sums import DTYPES, tensor_of


def expected(tensors: list[Named]) -> Fingerprint:
    return state_fingerprint(dict(tensors), is_whole=False)


def several() -> list[Named]:
    """Of all types, small and large, in the usual and in unusual layouts, and what cannot be read."""
    tensors = [
        (f"{dtype} {shape}", tensor_of(dtype, shape, seed))
        for seed, dtype in enumerate(DTYPES)
        for shape in ((), (0,), (7,), (1024,), (3, 700))
    ]
    return [
        *tensors,
        ("image", torch.randn(8, 16, 9, 9).to(memory_format=torch.channels_last)),
        ("turned", torch.randn(60, 70).T),
        ("parameter", nn.Parameter(torch.randn(40, 40))),
        ("sparse", torch.randn(50, 40).relu().to_sparse()),
        ("meta", torch.empty(3, device="meta")),
        ("slice", torch.randn(300, 20)[::3, ::2]),
    ]


def test_what_is_prepared_gives_what_is_not() -> None:
    """The first time and the next."""
    tensors = several()
    form = QuickForm()
    assert [form.take(tensors), form.take(tensors)] == [expected(tensors)] * 2


def test_a_changed_element_shows() -> None:
    """In place, in the views that were prepared."""
    tensors = [("a", torch.zeros(5000)), ("b", torch.zeros(3, 3).T)]
    form = QuickForm()
    first = form.take(tensors)
    for _, tensor in tensors:
        tensor[-1] += 1
    assert form.take(tensors) == expected(tensors) != first


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors: tensors.pop(),
        lambda tensors: tensors.append(("c", torch.ones(1))),
        lambda tensors: tensors.__setitem__(0, ("a", torch.ones(2000))),
        lambda tensors: tensors.__setitem__(0, ("renamed", tensors[0][1])),
        lambda tensors: setattr(tensors[0][1], "data", torch.full((2000,), 2.0)),
    ],
    ids=["fewer", "more", "another tensor", "another name", "other memory"],
)
def test_other_tensors_are_prepared_anew(change) -> None:
    """Also one that is put into other memory, as `parameter.data = ...` does."""
    tensors = [("a", torch.zeros(2000)), ("b", torch.zeros(5))]
    form = QuickForm()
    form.take(tensors)
    change(tensors)
    assert form.take(tensors) == expected(tensors)


def test_the_norm_is_that_of_the_elements_that_were_taken() -> None:
    """Of numbers with a fraction only; of none it is 0."""
    form = QuickForm()
    assert form.norm() == 0
    form.take([("a", torch.tensor([3.0])), ("b", torch.tensor([4.0]).bfloat16()), ("c", torch.tensor([100]))])
    assert form.norm() == 5


def test_memory_is_let_go() -> None:
    """Views keep the memory of a tensor alive, so that they are given up with it."""
    array = np.zeros(2000)
    memory = weakref.ref(array)
    form = QuickForm()
    form.take([("a", torch.from_numpy(array))])
    del array
    was_alive = memory() is not None
    form.forget()
    assert [was_alive, memory()] == [True, None]
