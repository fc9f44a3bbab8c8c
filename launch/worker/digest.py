"""Digests of what a rank trains on and of what it has learned."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
import xxhash

_HEAD_BYTES = 1 << 16
_MAX_KEYS, _MAX_DEPTH = 32, 16


def content_digest(data: Any) -> str:
    """Digest of a batch: nested mappings, sequences, tensors, arrays, numbers and text; equal content, equal digest.

    What it cannot look into counts by its type's name only.
    """
    digest = xxhash.xxh3_128()
    _update(digest, data)
    return digest.hexdigest()


def state_digest(parameters: Iterable[torch.Tensor], *, whole: bool) -> str:
    """Digest of parameters, whatever their order: optimizers may be made in a different one after a restart.

    Args:
        parameters: Tensors of any dtype and device; of a distributed one, the local shard.
        whole: Every byte; if not, the first 64 KiB of each tensor, which any optimizer step changes.
    """
    limit_bytes = None if whole else _HEAD_BYTES
    digests = sorted(xxhash.xxh3_64_digest(_tensor_bytes(parameter, limit_bytes)) for parameter in parameters)
    return xxhash.xxh3_64_hexdigest(b"".join(digests))


def saved_content(data: Any) -> dict[str, str]:
    """Digests of the floating-point tensors in what is saved, by the keys of its outermost mapping.

    A mapping of many keys, such as a bare `state_dict`, is one thing, under the key "". Counters, times and random states
    are left out: they may differ where training does not.
    """
    parts = data if isinstance(data, Mapping) and len(data) <= _MAX_KEYS else {"": data}
    content: dict[str, str] = {}
    for key, value in parts.items():
        with contextlib.suppress(RuntimeError, TypeError):  # a tensor of a kind that has no bytes of its own
            tensors = list(_float_tensors(value, depth=0))
            content |= {str(key): state_digest(tensors, whole=False)} if tensors else {}
    return content


def _float_tensors(data: Any, *, depth: int) -> Iterator[torch.Tensor]:
    """In their order; what is nested deeper than anybody nests on purpose may contain itself."""
    if isinstance(data, torch.Tensor) and data.is_floating_point() and data.device.type != "meta":
        yield data
    elif depth < _MAX_DEPTH and isinstance(data, Mapping | list | tuple):
        for value in data.values() if isinstance(data, Mapping) else data:
            yield from _float_tensors(value, depth=depth + 1)


def _tensor_bytes(tensor: torch.Tensor, limit_bytes: int | None) -> bytes | memoryview:
    local = tensor.detach()
    if hasattr(local, "to_local"):
        local = local.to_local()
    flat = local.reshape(-1) if local.layout == torch.strided else local.to_dense().reshape(-1)
    if limit_bytes is not None:
        flat = flat[: max(1, limit_bytes // max(1, flat.element_size()))]
    return flat.cpu().contiguous().view(torch.uint8).numpy().data


def _update(digest: xxhash.xxh3_128, data: Any) -> None:
    """Add one value; each is preceded by what it is, so that [1, [2]] and [[1], 2] differ."""
    match data:
        case torch.Tensor():
            digest.update(f"tensor {data.dtype} {tuple(data.shape)}".encode())
            digest.update(_tensor_bytes(data, None))
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
