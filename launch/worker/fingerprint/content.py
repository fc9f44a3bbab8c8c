"""Fingerprints of what is saved and of what is read, by key: equal content tells which save was read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
import xxhash

from resumable.launch.evidence.fingerprints import Fingerprint, total
from resumable.launch.evidence.rank_records import Figure
from resumable.launch.worker.fingerprint.states import generator_paths, leaf_fingerprints
from resumable.launch.worker.strangers import asked, is_honest

MAX_KEYS = 64
_MOST_FIGURES = 32
"""Under one key; more of them are one thing."""
_GREATEST = 1 << 53
"""Greater integers count nothing: they are seeds, digests and states of generators."""


class Content(NamedTuple):
    """Fingerprints by the keys of the outermost mapping."""

    fingerprints: dict[str, Fingerprint]
    """Of every element of what lies under a key."""
    numbers: dict[str, str]
    """Of what is learnt alone: of the tensors and arrays of numbers with a fraction, as one word. Keys without any are
    left out: counters, times of day and the state of generators may differ where training does not."""
    figures: dict[str, Figure]
    """Numbers that stand by themselves, and tensors and arrays of whole numbers, by key path."""


def content_of(content: Any) -> Content:
    """What is saved or was read.

    A mapping of more than `MAX_KEYS` keys, such as a bare `state_dict`, is one thing, under the key "".
    """
    found = Content({}, {}, {})
    for key, part in _parts(content).items():
        leaves = leaf_fingerprints(part, path=key)
        found.fingerprints[key] = total(one for _, _, one in leaves)
        learnt = [one for _, value, one in leaves if _has_fraction(value)]
        found.figures.update(_figures(key, leaves, generator_paths(part, path=key)))
        if learnt:
            of_key = total(learnt)
            found.numbers[key] = of_key.whole + of_key.part
    return found


def keys_of(content: Any) -> frozenset[str]:
    """The keys under which its fingerprints stand."""
    return frozenset(_parts(content))


def _parts(content: Any) -> Mapping[str, Any]:
    return asked(partial(_keyed, content), None) or {"": content}


def _keyed(content: Any) -> Mapping[str, Any] | None:
    if is_honest(content) and isinstance(content, Mapping) and len(content) <= MAX_KEYS:
        return {str(key): part for key, part in content.items()}
    return None


def _has_fraction(value: Any) -> bool:
    if isinstance(value, torch.Tensor):
        return value.is_floating_point() or value.is_complex()
    return isinstance(value, np.ndarray) and value.dtype.kind in "fc"


def _figures(key: str, leaves: Iterable[tuple[str, Any, Fingerprint]], generators: Iterable[str]) -> dict[str, Figure]:
    generators = frozenset(generators)
    found = {
        path: figure
        for path, value, one in leaves
        if (figure := _figure(value, one)) is not None and generators.isdisjoint(_on_the_way(path))
    }
    if len(found) <= _MOST_FIGURES:
        return found
    return {key: xxhash.xxh3_64_hexdigest(repr(sorted(found.items())).encode())}


def _figure(value: Any, one: Fingerprint) -> Figure | None:
    """None for what counts nothing: text, bytes, and what is learnt."""
    if isinstance(value, np.generic):
        value = value.item()
    match value:
        case int() if abs(value) <= _GREATEST:
            return int(value)
        case float():
            return value if math.isfinite(value) else repr(value)
        case torch.Tensor() if not _has_fraction(value) and value.dtype is not torch.uint8:
            return one.whole + one.part
        case np.ndarray() if value.dtype.kind in "iub" and value.dtype != np.uint8:
            return one.whole + one.part
    return None


def _on_the_way(path: str) -> Iterable[str]:
    """The path and all above it."""
    keys = path.split("/")
    return ("/".join(keys[: number + 1]) for number in range(len(keys)))
