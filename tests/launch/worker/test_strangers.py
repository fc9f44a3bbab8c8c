"""Objects of a script's own, which lie about what they are or raise whatever they are asked, end no job."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import pytest
import torch

from resumable.launch.worker.digest import content_digest
from resumable.launch.worker.fingerprint.content import content_of
from resumable.launch.worker.strangers import asked, is_honest
from resumable.launch.worker.watch.tensors import tensors_in


def claiming(kind: type) -> Any:
    """An object that only says that it is one of these."""
    return type("Claim", (), {"__class__": property(lambda _: kind)})()


class Refuses:
    """Whatever it is asked."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)

    __eq__ = __bool__ = __len__ = __iter__ = __hash__ = __repr__ = __getattribute__  # type: ignore[assignment]


class RefusingMapping(Mapping[str, int]):
    """Has keys that nobody may see."""

    def __getitem__(self, key: str) -> int:
        raise RuntimeError(key)

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError

    def __len__(self) -> int:
        raise RuntimeError


class RefusingFloat(float):
    """Gives no digits."""

    def hex(self) -> str:
        raise RuntimeError

    def __repr__(self) -> str:
        raise RuntimeError


def entangled() -> list[Any]:
    """Holds itself ten times over."""
    one: list[Any] = []
    one.extend([one] * 10)
    return one


STRANGERS = pytest.mark.parametrize(
    "make",
    [
        *(partial(claiming, kind) for kind in (torch.Tensor, dict, list, str, float, torch.nn.Module)),
        Refuses,
        RefusingMapping,
        partial(RefusingFloat, 2),
        lambda: [Refuses()],
        entangled,
    ],
)


@STRANGERS
def test_what_a_batch_holds_beside_its_tensors_hides_none(make: Callable[[], Any]) -> None:
    """Not even where it is the whole batch."""
    stranger, tensor = make(), torch.ones(2)
    assert (list(tensors_in([tensor, stranger])), list(tensors_in(stranger))) == ([tensor], [])


@STRANGERS
def test_what_is_saved_beside_a_model_takes_nothing_from_its_fingerprint(make: Callable[[], Any]) -> None:
    """Nor does it where it is all that is saved."""
    stranger, weight = make(), torch.ones(2)
    beside = content_of({"model": weight, "stranger": stranger})
    assert beside.numbers["model"] == content_of({"model": weight}).numbers["model"]
    assert content_of(stranger).fingerprints.keys() == {""}


@STRANGERS
def test_a_batch_of_strangers_has_a_digest(make: Callable[[], Any]) -> None:
    """The same each time."""
    stranger = make()
    assert content_digest([stranger, 1]) == content_digest([stranger, 1]) != content_digest([stranger, 2])


def test_only_an_object_that_says_what_it_is_is_honest() -> None:
    """A tensor, a number, a text are; what claims to be one, or refuses to say, is not."""
    assert [is_honest(one) for one in (torch.ones(1), 1, "", claiming(int), Refuses())] == [
        True,
        True,
        True,
        False,
        False,
    ]


def test_a_question_that_raises_has_another_answer() -> None:
    """The one that the asker has for it."""
    assert (asked(lambda: 1 // 0, None), asked(lambda: 1, None)) == (None, 1)
