"""What a sweep is asked for: the words of `--at`, `--ranks` and `--kinds`, read before anything starts."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from itertools import islice
from typing import TypedDict

import msgspec

from resumable.launch.errors import FaultSyntaxError, UsageError
from resumable.launch.plan.absent_ranks import refuse_rank
from resumable.launch.plan.fault_grammar import parse_call, parse_when
from resumable.launch.plan.fault_kinds import FaultKind
from resumable.launch.plan.fault_model import FaultRequest, Point, When, Who

EACH = "each"

_MAX_LISTED = 100_000
"""Moments that `--at` may list: more than anybody can run."""
_MAX_JOINED = 150
"""Characters of ranks that a plus joins: they are a part of a folder's name."""
_EVERY = re.compile(r"every:([1-9]\d{,14})")
_NUMBER = re.compile(r"\d{1,15}")
_RANGE = re.compile(r"(\d{1,15})-(\d{1,15})")
_TOGETHER = re.compile(r"\d{1,15}(\+\d{1,15})*")
_MOMENT = re.compile(r"epoch=\d+,batch=\d+|[^,]+")
_KIND = re.compile(r"[^,(]+(?:\([^)]*\))?")


class SweepWords(TypedDict, total=False):
    """Which points of training a sweep hits, in the words of the command line, as Python gives them."""

    at: str
    """Moments: `all` (the default), `every:N`, or a list such as `3,10-20,save#1+during`."""
    ranks: str
    """Who is hit: `each` (the default), `any`, `all`, or a list such as `0,2-3,0+1`."""
    kinds: str
    """Kinds of faults, such as `sigkill,torn(keep=0.5)`; `sigkill` by default."""
    sample: int | None
    """Only so many of the points, drawn from the seed."""


class Moments(msgspec.Struct, frozen=True, kw_only=True):
    """When faults happen: at steps that recur, or at listed moments."""

    every: int | None = None
    """Steps 0, N, 2N, ... of the whole training; None: the list says it."""
    listed: tuple[When, ...] = ()


class SweptKind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of fault that a sweep does at every point."""

    word: str
    """As the user wrote it: it stands in the names of the points."""
    kind: FaultKind
    argument: float | None

    def at(self, when: When, *, rank: int) -> FaultRequest:
        """This kind at one moment, done to a rank; FaultSyntaxError if it never happens then."""
        return FaultRequest(kind=self.kind, when=when, who=rank, argument=self.argument)


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
    moments = (when for word in _MOMENT.findall(text) for when in _moments(text, word.strip()))
    listed = list(islice(moments, _MAX_LISTED + 1))
    if not listed:
        raise _unreadable(text)
    if len(listed) > _MAX_LISTED:
        raise UsageError(
            f"--at {text}: lists more than {_MAX_LISTED} moments; all and every:N stand for as many as there are"
        )
    return Moments(listed=tuple(dict.fromkeys(listed)))


def parse_ranks(text: str, *, world_size: int) -> Who | tuple[tuple[int, ...], ...]:
    """The ranks of `--ranks` that are hit in one run, for every run; `any` and `all` stay open.

    In a list such as `0,2-3,0+1`, those that a plus joins are hit together; `each` is every rank, for itself.

    Raises:
        UsageError: `text` is neither any, all nor a list of ranks that there are.
    """
    if text in (Who.ANY, Who.ALL):
        return Who(text)
    groups = sorted({group for word in text.split(",") for group in _groups(text, word.strip(), world_size)})
    return tuple(sorted(groups, key=len))


def rank_groups(
    ranks: Who | tuple[tuple[int, ...], ...], able: Sequence[int], draw: random.Random
) -> Iterator[tuple[str, Sequence[int]]]:
    """Who of the ranks that can be hit is hit together, by name; `draw` decides for `any`."""
    if ranks is Who.ALL and able:
        yield "all", able
    elif ranks is Who.ANY and able:
        rank = draw.choice(able)
        yield f"rank{rank}", [rank]
    elif not isinstance(ranks, Who):
        yield from ((f"rank{'+'.join(map(str, group))}", group) for group in ranks if set(group) <= set(able))


def parse_kinds(text: str) -> tuple[SweptKind, ...]:
    """The kinds of `--kinds`, as they stand before the `@` of a fault: `sigkill`, `exit(3)`.

    Raises:
        UsageError: one of them is none, or there is none.
    """
    kinds = tuple(_swept_kind(text, word) for word in dict.fromkeys(word.strip() for word in _KIND.findall(text)))
    if not kinds:
        raise UsageError(f"--kinds {text}: expected kinds such as sigkill,torn(keep=0.5)")
    return kinds


def example_faults(moments: Moments, kinds: tuple[SweptKind, ...]) -> tuple[FaultRequest, ...]:
    """One fault for every kind and moment: what is wrong with one is wrong with all.

    Raises:
        UsageError: a kind that cannot happen at one of the moments.
    """
    whens = moments.listed or (When(Point.STEP, (0,)),)
    return tuple(_example(kind, when) for kind in kinds for when in whens)


def _swept_kind(text: str, word: str) -> SweptKind:
    try:
        kind, argument = parse_call(word)
    except FaultSyntaxError as error:
        nearest = get_close_matches(word.partition("(")[0], FaultKind, n=1)
        hint = f"\ndid you mean: {nearest[0]}" if nearest and nearest[0] not in word else ""
        raise UsageError(f"--kinds {text}: {error.reason}{hint}") from error
    return SweptKind(word=word, kind=kind, argument=argument)


def _example(kind: SweptKind, when: When) -> FaultRequest:
    try:
        return kind.at(when, rank=0)
    except FaultSyntaxError as error:
        raise UsageError(f"--kinds {kind.word}, --at {when}: {error.reason}") from error


def _moments(text: str, word: str) -> Iterator[When]:
    steps = _RANGE.fullmatch(word)
    if _NUMBER.fullmatch(word):
        yield When(Point.STEP, (int(word),))
    elif steps is not None and int(steps[1]) <= int(steps[2]):
        yield from (When(Point.STEP, (step,)) for step in range(int(steps[1]), int(steps[2]) + 1))
    else:
        when = parse_when(word)
        if when is None:
            raise _unreadable(text)
        yield when


def _groups(text: str, word: str, world_size: int) -> Iterator[tuple[int, ...]]:
    ends = _RANGE.fullmatch(word)
    if word == EACH:
        yield from ((rank,) for rank in range(world_size))
    elif ends is not None and int(ends[1]) <= int(ends[2]):
        refuse_rank(f"--ranks {text}", int(ends[2]), world_size=world_size)
        yield from ((rank,) for rank in range(int(ends[1]), int(ends[2]) + 1))
    elif _TOGETHER.fullmatch(word):
        ranks = {int(rank) for rank in word.split("+")}
        refuse_rank(f"--ranks {text}", max(ranks), world_size=world_size)
        if len(word) > _MAX_JOINED:
            raise UsageError(
                f"--ranks {text}: joins more ranks than the name of a folder can hold; all joins all of them"
            )
        yield tuple(sorted(ranks))
    else:
        raise UsageError(f"--ranks {text}: expected each, any, all or a list such as 0,2-3,0+1")


def _unreadable(text: str) -> UsageError:
    return UsageError(f"--at {text}: expected all, every:N or a list such as 3,10-20,save#1+during,epoch=1,batch=3")
