"""Fingerprints of what is saved and of what is read, by key: equal content tells which save was read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch

from resumable.launch.evidence.fingerprints import Fingerprint, total
from resumable.launch.worker.fingerprint.states import leaf_fingerprints

MAX_KEYS = 64


class Content(NamedTuple):
    """Fingerprints by the keys of the outermost mapping."""

    fingerprints: dict[str, Fingerprint]
    """Of every element of what lies under a key."""
    numbers: dict[str, str]
    """Of what is learnt alone: of the tensors and arrays of numbers with a fraction, as one word. Keys without any are
    left out: counters, times of day and the state of generators may differ where training does not."""


def content_of(content: Any) -> Content:
    """What is saved or was read.

    A mapping of more than `MAX_KEYS` keys, such as a bare `state_dict`, is one thing, under the key "".
    """
    found = Content({}, {})
    for key, part in _parts(content).items():
        leaves = leaf_fingerprints(part, path=key)
        found.fingerprints[key] = total(one for _, one in leaves)
        learnt = [one for value, one in leaves if _has_fraction(value)]
        if learnt:
            of_key = total(learnt)
            found.numbers[key] = of_key.whole + of_key.part
    return found


def keys_of(content: Any) -> frozenset[str]:
    """The keys under which its fingerprints stand."""
    return frozenset(_parts(content))


def _parts(content: Any) -> Mapping[str, Any]:
    if isinstance(content, Mapping) and 0 < len(content) <= MAX_KEYS:
        return {str(key): part for key, part in content.items()}
    return {"": content}


def _has_fraction(value: Any) -> bool:
    if isinstance(value, torch.Tensor):
        return value.is_floating_point() or value.is_complex()
    return isinstance(value, np.ndarray) and value.dtype.kind in "fc"
