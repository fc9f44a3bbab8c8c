"""Digests of what a rank trains on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import xxhash


def content_digest(data: Any) -> str:
    """Digest of a batch: nested mappings, sequences, tensors, arrays, numbers and text; equal content, equal digest.

    What it cannot look into counts by its type's name only.
    """
    digest = xxhash.xxh3_128()
    _update(digest, data)
    return digest.hexdigest()


def _tensor_bytes(tensor: torch.Tensor) -> bytes | memoryview:
    local = tensor.detach()
    if hasattr(local, "to_local"):
        local = local.to_local()
    flat = local.reshape(-1) if local.layout == torch.strided else local.to_dense().reshape(-1)
    return flat.cpu().contiguous().view(torch.uint8).numpy().data


def _update(digest: xxhash.xxh3_128, data: Any) -> None:
    """Add one value; each is preceded by what it is, so that [1, [2]] and [[1], 2] differ."""
    match data:
        case torch.Tensor():
            digest.update(f"tensor {data.dtype} {tuple(data.shape)}".encode())
            digest.update(_tensor_bytes(data))
        case np.ndarray():
            digest.update(f"array {data.dtype} {data.shape}".encode())
            digest.update(
                repr(data.tolist()).encode() if data.dtype == object else np.ascontiguousarray(data).tobytes()
            )
        case Mapping():
            digest.update(f"mapping {len(data)}".encode())
            for key, value in data.items():
                _update(digest, key)
                _update(digest, value)
        case bytes() | bytearray():
            digest.update(f"bytes {len(data)}".encode())
            digest.update(bytes(data))
        case list() | tuple():
            digest.update(f"sequence {len(data)}".encode())
            for value in data:
                _update(digest, value)
        case str() | int() | float() | bool() | None | complex() | np.generic():
            digest.update(f"{type(data).__name__} {data!r}".encode())
        case _:
            digest.update(f"opaque {type(data).__qualname__}".encode())
