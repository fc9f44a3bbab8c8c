"""Putting a function around another one that lives in somebody else's module."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any


def wrap(owner: Any, name: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Replace `owner.name` by `make(original)`, which keeps the original's name, docstring and signature."""
    original = getattr(owner, name)
    setattr(owner, name, functools.wraps(original)(make(original)))
