"""What a sweep is asked for: the words of `--at`, `--ranks` and `--kinds`, read before anything starts."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from launch.errors import UsageError
from launch.faults import Point, When, Who
from launch.grammar import parse_when

EACH = "each"

_EVERY = re.compile(r"every:([1-9]\d*)")
_RANGE = re.compile(r"(\d+)-(\d+)")
_MOMENT = re.compile(r"epoch=\d+,batch=\d+|[^,]+")
_KIND = re.compile(r"[^,(]+(?:\([^)]*\))?")


class Moments(msgspec.Struct, frozen=True, kw_only=True):
    """When faults happen: at steps that recur, or at listed moments."""

    every: int | None = None
    """Steps 0, N, 2N, ... of the whole training; None: the list says it."""
    listed: tuple[When, ...] = ()


def parse_at(text: str) -> Moments:
    """The moments of `--at`: `all`, `every:N`, or a list of steps, ranges of steps (10-20, both are hit) and moments.

    Raises:
        UsageError: `text` is none of these.
    """
    if text == "all":
        return Moments(every=1)
    every = _EVERY.fullmatch(text)
    if every is not None:
        return Moments(every=int(every[1]))
    listed = [when for word in _MOMENT.findall(text) for when in _moments(text, word.strip())]
    if not listed:
        raise _unreadable(text)
    return Moments(listed=tuple(dict.fromkeys(listed)))


def parse_ranks(text: str, *, world_size: int) -> Who | tuple[int, ...]:
    """The ranks of `--ranks`, each of which is hit in a run of its own; `any` and `all` stay open.

    Raises:
        UsageError: `text` is neither each, any, all nor a list of ranks that there are.
    """
    if text == EACH:
        return tuple(range(world_size))
    if text in (Who.ANY, Who.ALL):
        return Who(text)
    ranks = sorted({rank for word in text.split(",") for rank in _ranks(text, word.strip())})
    if ranks[-1] >= world_size:
        raise UsageError(f"--ranks {text}: there are ranks 0 to {world_size - 1}")
    return tuple(ranks)


def parse_kinds(text: str) -> tuple[str, ...]:
    """The kinds of `--kinds`, as they stand before the `@` of a fault: `sigkill`, `exit(3)`."""
    return tuple(dict.fromkeys(kind.strip() for kind in _KIND.findall(text)))


def example_faults(moments: Moments, kinds: tuple[str, ...]) -> tuple[str, ...]:
    """One fault for every kind and moment, as the command line takes them: what is wrong with one is wrong with all."""
    whens = moments.listed or (When(Point.STEP, (0,)),)
    return tuple(f"{kind}@{when}:rank=0" for kind in kinds for when in whens)


def _moments(text: str, word: str) -> Iterator[When]:
    steps = _RANGE.fullmatch(word)
    if word.isdecimal():
        yield When(Point.STEP, (int(word),))
    elif steps is not None and int(steps[1]) <= int(steps[2]):
        yield from (When(Point.STEP, (step,)) for step in range(int(steps[1]), int(steps[2]) + 1))
    else:
        when = parse_when(word)
        if when is None:
            raise _unreadable(text)
        yield when


def _ranks(text: str, word: str) -> range:
    ends = _RANGE.fullmatch(word)
    if word.isdecimal():
        return range(int(word), int(word) + 1)
    if ends is not None and int(ends[1]) <= int(ends[2]):
        return range(int(ends[1]), int(ends[2]) + 1)
    raise UsageError(f"--ranks {text}: expected each, any, all or a list such as 0,2-3")


def _unreadable(text: str) -> UsageError:
    return UsageError(f"--at {text}: expected all, every:N or a list such as 3,10-20,save#1+during,epoch=1,batch=3")
