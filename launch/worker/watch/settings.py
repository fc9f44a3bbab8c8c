"""Watches with which settings optimizers make their steps: those of their groups, and which parameters get no gradient."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from operator import attrgetter, itemgetter
from typing import Any

import torch
import xxhash

from resumable.launch.evidence.rank_records import Figure, Settings

_MOST_NAMES = 64
"""More of them are given as one word."""
_MOST_TEXT = 64
_MOST_PARTS = 8
"""Of one setting; what is longer is none that anybody chose."""
_PLAIN = frozenset({float, int, bool, str, type(None)})
_PARAMETERS, _REQUIRES_GRAD = itemgetter("params"), attrgetter("requires_grad")


class SettingsWatch:
    """Tells of each step what is not as it was with the same optimizer's step before.

    Args:
        name_of: Gives the name that a parameter has in the model; "" if it has none.
    """

    def __init__(self, name_of: Callable[[torch.Tensor], str]) -> None:
        self._name_of = name_of
        self._seen: dict[str, tuple[list[dict[str, Any]], list[bool]]] = {}
        """By the first parameter of an optimizer."""
        self._told: Settings = {}
        self._new: Settings = {}

    def look(self, groups: Sequence[Mapping[str, Any]]) -> None:
        """An optimizer is about to make a step with these groups."""
        parameters = list(chain.from_iterable(map(_PARAMETERS, groups)))
        if not parameters:
            return
        seen = [_raw(group) for group in groups], list(map(_REQUIRES_GRAD, parameters))
        name = self._name_of(parameters[0])
        if seen != self._seen.get(name):
            self._seen[name] = seen
            told, own = self._told.get(name, {}), self.of(groups)
            if len(groups) == 1:
                own.pop("lr", None)  # which steps tell by themselves
            self._told[name] = own
            self._new.setdefault(name, {}).update({key: own[key] for key in own if told.get(key) != own[key]})

    def take(self) -> Settings:
        """What is not as it was, since this was asked last."""
        new, self._new = self._new, {}
        return new

    def of(self, groups: Sequence[Mapping[str, Any]]) -> dict[str, list[Figure]]:
        """All settings of an optimizer as they are now."""
        figures = [dict(_figures(group)) for group in groups]
        names = {name: None for own in figures for name in own}
        frozen: list[Figure] = [
            self._name_of(one) or f"{number}/{place}"
            for number, group in enumerate(groups)
            for place, one in enumerate(group["params"])
            if not one.requires_grad
        ]
        if len(frozen) > _MOST_NAMES:
            frozen = [f"{len(frozen)} parameters, {xxhash.xxh3_64_hexdigest(repr(frozen).encode())}"]
        return {**{name: [own.get(name, "") for own in figures] for name in names}, "frozen": frozen}

    def of_all(self, optimizers: Iterable[Sequence[Mapping[str, Any]]]) -> Settings:
        """Those of several optimizers, given their groups."""
        firsts = ((next((one for group in groups for one in group["params"]), None), groups) for groups in optimizers)
        return {self._name_of(first): self.of(groups) for first, groups in firsts if first is not None}


def _raw(group: Mapping[str, Any]) -> dict[str, Any]:
    """What differs if any setting of a group does: with each step, so that most are compared as they are."""
    raw = {**group, "params": None}
    if not _PLAIN.issuperset(map(type, raw.values())):
        changeable = [name for name, value in raw.items() if not _is_lasting(value)]
        raw.update({name: list(_figures({name: raw[name]})) for name in changeable})
    return raw


def _is_lasting(value: Any) -> bool:
    """Whether it compares, and nobody can change it."""
    return type(value) in _PLAIN or (type(value) is tuple and _PLAIN.issuperset(map(type, value)))


def _figures(group: Mapping[str, Any]) -> Iterator[tuple[str, Figure]]:
    """The settings of one group that are numbers or text; each of several numbers has a name of its own."""
    for name, value in group.items():
        if name == "params":
            continue
        figure = _figure(value)
        if figure is not None:
            yield name, figure
        elif type(value) in (tuple, list) and len(value) <= _MOST_PARTS:
            for place, part in enumerate(value):
                figure = _figure(part)
                if figure is not None:
                    yield f"{name}/{place}", figure


def _figure(value: Any) -> Figure | None:
    """None for what cannot be compared by itself; what lies on an accelerator would make it wait."""
    kind = type(value)
    if kind is torch.Tensor and value.numel() == 1 and value.device.type == "cpu":
        value, kind = float(value), float
    found: Figure | None = None
    if kind is float:
        found = value if math.isfinite(value) else repr(value)
    elif kind is bool or (kind is int and abs(value) < 1 << 53):
        found = int(value)
    elif kind is str:
        found = value[:_MOST_TEXT]
    elif value is None:
        found = "None"
    return found
