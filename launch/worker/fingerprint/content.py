"""Fingerprints of what is saved and of what is read, by key: equal content tells which save was read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from resumable.launch.evidence.fingerprints import Fingerprint
from resumable.launch.worker.fingerprint.states import state_fingerprint

MAX_KEYS = 64


def content_fingerprints(content: Any) -> dict[str, Fingerprint]:
    """Of every element of it, by the keys of its outermost mapping.

    A mapping of more than `MAX_KEYS` keys, such as a bare `state_dict`, is one thing, under the key "".
    """
    return {key: state_fingerprint(part, path=key) for key, part in _parts(content).items()}


def keys_of(content: Any) -> frozenset[str]:
    """The keys under which its fingerprints stand."""
    return frozenset(_parts(content))


def _parts(content: Any) -> Mapping[str, Any]:
    if isinstance(content, Mapping) and 0 < len(content) <= MAX_KEYS:
        return {str(key): part for key, part in content.items()}
    return {"": content}
