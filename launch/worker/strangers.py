"""Objects of the script's own, which may lie about what they are, and raise whatever they are asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

_T = TypeVar("_T")


def is_honest(value: Any) -> bool:
    """Whether it says that it is what it is: torch trusts `isinstance`, and dies of what only claims to be a tensor."""
    kind: object = asked(lambda: value.__class__, None)
    return kind is type(value)


def asked(question: Callable[[], _T], otherwise: _T) -> _T:
    """The answer to a question that somebody else's property or method may have to answer, or what stands for one."""
    try:
        return question()
    except Exception:  # somebody else's code: a job without a recorder would not have asked
        return otherwise
