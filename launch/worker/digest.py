"""Digests of what a rank trains on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import xxhash

from resumable.launch.worker.fingerprint.states import tensors_inside
from resumable.launch.worker.strangers import is_honest
from resumable.launch.worker.torch_private import outside_of_transforms, seen_through

_OPAQUE = object()


def content_digest(data: Any) -> str:
    """Digest of a batch: nested mappings, sequences, tensors, arrays, numbers and text; equal content, equal digest.

    What it cannot look into counts by its type's name only.
    """
    digest = xxhash.xxh3_128()
    with outside_of_transforms():
        _update(digest, data)
    return digest.hexdigest()


def _update_tensor(digest: xxhash.xxh3_128, tensor: torch.Tensor) -> None:
    """Add a tensor of any kind: none may end the job for being looked at."""
    tensor = seen_through(tensor)
    try:
        tensor = tensor.detach()
        local = tensor.to_local() if hasattr(tensor, "to_local") else tensor
        inner = tensors_inside(local)
        if inner is not None:
            _update(digest, inner)
            return
        strided = local if local.layout == torch.strided else local.to_dense()
        plain = strided.resolve_conj().resolve_neg().reshape(-1).cpu().contiguous().view(torch.uint8)
        kind, content = f"tensor {tensor.dtype} {tuple(tensor.shape)}", plain.numpy().data
    except (
        RuntimeError,
        TypeError,
        ValueError,
    ):  # on the device meta, of a fake mode, ragged, or a subclass that refuses
        kind, content = f"opaque {type(tensor).__qualname__}", memoryview(b"")
    digest.update(kind.encode())
    digest.update(content)


def _update(digest: xxhash.xxh3_128, data: Any, holders: tuple[int, ...] = ()) -> None:
    """Add one value, or that it cannot be looked into; `holders` are the ids of all in which it lies."""
    try:
        if id(data) in holders:
            digest.update(f"held by itself, {len(holders) - holders.index(id(data))} above".encode())
        else:
            _add(digest, data, (*holders, id(data)))
    except Exception:  # somebody else's code
        digest.update(f"refuses {type(data).__qualname__}".encode())


def _add(digest: xxhash.xxh3_128, data: Any, holders: tuple[int, ...]) -> None:
    """Each value is preceded by what it is, so that [1, [2]] and [[1], 2] differ."""
    match data if is_honest(data) else _OPAQUE:
        case torch.Tensor():
            _update_tensor(digest, data)
        case np.ndarray():
            digest.update(f"array {data.dtype} {data.shape}".encode())
            digest.update(
                repr(data.tolist()).encode() if data.dtype == object else np.ascontiguousarray(data).tobytes()
            )
        case Mapping():
            digest.update(f"mapping {len(data)}".encode())
            for key, value in data.items():
                _update(digest, key, holders)
                _update(digest, value, holders)
        case bytes() | bytearray():
            digest.update(f"bytes {len(data)}".encode())
            digest.update(bytes(data))
        case list() | tuple():
            digest.update(f"sequence {len(data)}".encode())
            for value in data:
                _update(digest, value, holders)
        case str() | int() | float() | bool() | None | complex() | np.generic():
            digest.update(f"{type(data).__name__} {data!r}".encode())
        case _:
            digest.update(f"opaque {type(data).__qualname__}".encode())
