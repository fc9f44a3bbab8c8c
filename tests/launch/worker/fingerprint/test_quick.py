from __future__ import annotations

import weakref

import numpy as np
import pytest
import torch
from torch import nn

from resumable.launch.evidence.fingerprints import Fingerprint
from resumable.launch.worker.fingerprint import quick
from resumable.launch.worker.fingerprint.quick import Named, QuickForms
from resumable.launch.worker.fingerprint.samples import DeviceSamples, HostSamples
from resumable.launch.worker.fingerprint.states import state_fingerprint
from tests.launch.worker.fingerprint.test_sums import DTYPES, tensor_of


class Refusing(torch.Tensor):
    """Of a library that answers nothing."""

    @classmethod
    def __torch_function__(cls, *_: object, **__: object) -> object:
        raise AssertionError


@pytest.fixture(params=[HostSamples, DeviceSamples], autouse=True)
def samples(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways of gathering; what is for accelerators works in the memory of the host too."""
    monkeypatch.setattr(quick, "HostSamples", request.param)


def expected(tensors: list[Named]) -> dict[str, Fingerprint]:
    return {"all": state_fingerprint(dict(tensors), is_whole=False)}


def taken(forms: QuickForms, tensors: list[Named]) -> dict[str, Fingerprint]:
    return forms.take([tensor for _, tensor in tensors], lambda: {"all": tensors})


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
        ("lazy", nn.UninitializedParameter()),
        ("refusing", torch.ones(3).as_subclass(Refusing)),
        ("slice", torch.randn(300, 20)[::3, ::2]),
    ]


def test_what_is_prepared_gives_what_is_not() -> None:
    """The first time and the next."""
    tensors = several()
    forms = QuickForms()
    assert [taken(forms, tensors), taken(forms, tensors)] == [expected(tensors)] * 2


def test_a_changed_element_shows() -> None:
    """In place, in the views that were prepared."""
    tensors = [("a", torch.zeros(5000)), ("b", torch.zeros(3, 3).T)]
    forms = QuickForms()
    first = taken(forms, tensors)
    for _, tensor in tensors:
        tensor[-1] += 1
    assert taken(forms, tensors) == expected(tensors) != first


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors: tensors.pop(),
        lambda tensors: tensors.append(("c", torch.ones(1))),
        lambda tensors: tensors.__setitem__(0, ("a", torch.ones(2000))),
        lambda tensors: setattr(tensors[0][1], "data", torch.full((2000,), 2.0)),
    ],
    ids=["fewer", "more", "another tensor", "other memory"],
)
def test_other_tensors_are_prepared_anew(change) -> None:
    """Also one that is put into other memory, as `parameter.data = ...` does."""
    tensors = [("a", torch.zeros(2000)), ("b", torch.zeros(5))]
    forms = QuickForms()
    taken(forms, tensors)
    change(tensors)
    assert taken(forms, tensors) == expected(tensors)


def test_the_norm_is_that_of_the_elements_that_were_taken() -> None:
    """Of numbers with a fraction only; of none it is 0."""
    forms = QuickForms()
    assert forms.norm("all") == 0
    taken(forms, [("a", torch.tensor([3.0])), ("b", torch.tensor([4.0]).bfloat16()), ("c", torch.tensor([100]))])
    assert forms.norm("all") == 5


def test_memory_is_let_go() -> None:
    """Views keep the memory of a tensor alive, so that they are given up with it."""
    array = np.zeros(2000)
    memory = weakref.ref(array)
    forms = QuickForms()
    taken(forms, [("a", torch.from_numpy(array))])
    del array
    was_alive = memory() is not None
    forms.forget()
    assert [was_alive, memory()] == [True, None]


def test_components_are_told_apart() -> None:
    """Each has a sum and a norm of its own, though all are gathered together."""
    components = {"one": several(), "two": [(f"{name} too", one) for name, one in several()], "three": []}
    tensors = [tensor for own in components.values() for _, tensor in own]
    forms = QuickForms()
    found = forms.take(tensors, lambda: components)
    assert found == {
        "one": state_fingerprint(dict(components["one"]), is_whole=False),
        "two": state_fingerprint(dict(components["two"]), is_whole=False),
        "three": Fingerprint(),
    }


def test_what_is_watched_may_be_resized() -> None:
    """`FullyShardedDataParallel` frees the memory of a parameter and makes room for it again."""
    tensor = torch.ones(2000)
    forms = QuickForms()
    taken(forms, [("a", tensor)])
    tensor.untyped_storage().resize_(0)
    was_seen = taken(forms, [("a", tensor)])
    tensor.untyped_storage().resize_(8000)
    tensor.fill_(1)
    assert was_seen != taken(forms, [("a", tensor)]) == expected([("a", tensor)])


@pytest.mark.parametrize("view", [torch.Tensor.conj, lambda one: one.conj().imag], ids=["conjugate", "negative"])
def test_what_is_only_marked_as_changed_is_not_prepared(view) -> None:
    """A copy with the change made would not follow the tensor."""
    base = torch.full((1000,), 1 + 2j)
    forms = QuickForms()
    first = taken(forms, [("a", view(base))])
    base.mul_(2)
    assert taken(forms, [("a", view(base))]) == expected([("a", view(base))]) != first


def test_a_component_may_lack_a_type() -> None:
    """Its norm is of what it has."""
    components = {"one": [("a", torch.full((1,), 2.0))], "two": [("b", torch.full((1,), 3.0, dtype=torch.float64))]}
    forms = QuickForms()
    forms.take([tensor for own in components.values() for _, tensor in own], lambda: components)
    assert [forms.norm("one"), forms.norm("two"), forms.norm("three")] == [2, 3, 0]
