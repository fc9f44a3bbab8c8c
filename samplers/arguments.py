"""Checks of arguments."""

import operator
from collections.abc import Iterable, Sized
from typing import Literal

DropLast = bool | Literal["global"]


def integer(name: str, value: object, *, low: int, high: int) -> int:
    """Return `value` as a plain int of `low <= value < high`.

    NumPy integers pass; booleans, floats and strings do not, for `True` as a rank or `2.0` as a batch size is a slip.

    Raises:
        TypeError: `value` is no integer.
        ValueError: `value` is out of range.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name}={value!r}: expected an integer")
    number = operator.index(value)
    if not low <= number < high:
        raise ValueError(f"{name}={value!r}: expected an integer from {low} to {high - 1}")
    return number


def samples_of(name: str, value: object) -> list[int] | None:
    """Return samples as plain ints, those of groups one after the other; None if `value` is a single number, or none at all.

    Raises:
        TypeError: one of them is no integer.
        ValueError: one of them is negative.
    """
    if not isinstance(value, Iterable) or isinstance(value, str) or getattr(value, "ndim", 1) == 0:
        return None
    tolist = getattr(value, "tolist", None)
    samples: list[int] = []
    for item in value if tolist is None else tolist():
        group = samples_of(name, item)
        samples += [integer(name, item, low=0, high=2**62)] if group is None else group
    return samples


def flag(name: str, value: object) -> bool:
    """Return `value` if it is a bool.

    Raises:
        TypeError: `value` is anything else, also 0 or 1.
    """
    if not isinstance(value, bool):
        raise TypeError(f"{name}={value!r}: expected True or False")
    return value


def drop_last_rule(name: str, value: object) -> DropLast:
    """Return `value` if it is one of True, False and `"global"`.

    Raises:
        TypeError: `value` is neither a bool nor a string.
        ValueError: `value` is a different string.
    """
    if isinstance(value, str):
        if value != "global":
            raise ValueError(f'{name}={value!r}: expected True, False or "global"')
        return "global"
    return flag(name, value)


def optional_text(name: str, value: object) -> str | None:
    """Return `value` if it is a string or None.

    Raises:
        TypeError: `value` is anything else.
    """
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{name}={value!r}: expected a string")
    return value


def length(name: str, value: object) -> int:
    """Return `len(value)`.

    Raises:
        TypeError: `value` has no length, as an iterable data set.
    """
    if not isinstance(value, Sized):
        raise TypeError(f"{name}={type(value).__name__} has no length: a map-style data set is needed")
    return len(value)
