"""Fingerprints of nested states, by key path: tensors, arrays, numbers, text, generators, in mappings and sequences."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import torch

from resumable.launch.evidence.fingerprints import Fingerprint, fingerprint, total
from resumable.launch.worker.fingerprint.keys import text_key
from resumable.launch.worker.fingerprint.known_sums import known_sum
from resumable.launch.worker.fingerprint.pieces import Holding, OpaqueTensorError, holding_of
from resumable.launch.worker.fingerprint.sums import quick_sum
from resumable.launch.worker.strangers import asked, is_honest
from resumable.launch.worker.torch_private import buffers_of, children_of, own_parameters

_MAX_DEPTH = 16
"""Nobody nests deeper on purpose."""
_WORDS_OF_PYTHONS_GENERATOR = 625
_OPAQUE = object()
"""Stands for what only claims to be of another class."""


def state_fingerprint(state: Any, *, is_whole: bool = True, path: str = "") -> Fingerprint:
    """Of a state of any kind, all its key paths together.

    Args:
        state: As for `state_fingerprints`.
        is_whole: Likewise.
        path: Where it lies in a larger state; "": it is the whole.
    """
    return total(state_fingerprints(state, is_whole=is_whole, path=path).values())


def named_fingerprints(parts: Iterable[tuple[str, Any]]) -> dict[str, Fingerprint]:
    """Of each part of a state, by name: those of one name together."""
    named: dict[str, Fingerprint] = {}
    for name, part in parts:
        own = state_fingerprint(part, path=_escaped(name))
        named[name] = named[name] + own if name in named else own
    return named


def as_part(one: Fingerprint) -> Fingerprint:
    """The same of what this process alone holds, though it holds it whole: its part of what ranks have shared out."""
    if not one.whole:
        return one
    shared = fingerprint(int(one.whole, 16), one.num_whole, is_part=True)
    return shared + Fingerprint(part=one.part, num_part=one.num_part)


def state_fingerprints(state: Any, *, is_whole: bool = True, path: str = "") -> dict[str, Fingerprint]:
    """Of each leaf of a state, by its key path: the keys on the way to it with "/" between them.

    The path takes part, so that the fingerprints below any path add up to one of what lies there, and leaves that
    were exchanged show. Of what cannot be looked into (functions, tensors without memory) its type's name takes part.

    Args:
        state: Nested mappings, sequences, sets, tensors, arrays, numbers, text and generators.
        is_whole: Every element of every tensor; otherwise those of the quick form.
        path: Where the state lies in a larger one, with "/" in keys escaped; "": it is the whole.
    """
    above = (path,) if path else ()
    with torch.no_grad():
        return {place: _leaf(place, value, is_whole=is_whole) for place, value in _leaves(state, above, ())}


def leaf_fingerprints(state: Any, *, path: str = "") -> list[tuple[str, Any, Fingerprint]]:
    """Of each leaf of a state, every element of it, beside its key path and itself; arguments likewise."""
    above = (path,) if path else ()
    with torch.no_grad():
        return [(place, value, _leaf(place, value, is_whole=True)) for place, value in _leaves(state, above, ())]


def has_more_leaves(state: Any, most: int) -> bool:
    """Whether a state has more leaves than this; no more of them are looked at."""
    return next(islice(_leaves(state, (), ()), most, None), None) is not None


def generator_paths(state: Any, *, path: str = "") -> list[str]:
    """Key paths of what is the state of a generator of Python or NumPy, not of torch, which is a tensor of bytes."""
    return list(_generators(state, (path,) if path else (), ()))


def _generators(state: Any, path: tuple[str, ...], holders: tuple[int, ...]) -> Iterator[str]:
    if not is_honest(state) or isinstance(state, torch.Tensor):
        return
    if asked(partial(_is_of_generator, state), False):
        yield "/".join(path)
        return
    for key, value in _inside(state, holders) or ():
        yield from _generators(value, (*path, key), (*holders, id(state)))


def _is_of_generator(state: Any) -> bool:
    match state:
        case [int(), [*numbers], _]:
            return len(numbers) == _WORDS_OF_PYTHONS_GENERATOR
        case [str(), np.ndarray(), int(), int(), float()] | {"bit_generator": str()}:
            return True
    return isinstance(state, np.random.Generator | np.random.RandomState | random.Random)


def tensor_fingerprint(name: str, tensor: torch.Tensor, *, is_whole: bool = True) -> Fingerprint:
    """Of one tensor of any kind, sharded ones included.

    Raises:
        OpaqueTensorError: its elements cannot be read.
    """
    with torch.no_grad():
        return holding_fingerprint(name, holding_of(tensor), is_whole=is_whole)


def holding_fingerprint(name: str, holding: Holding, *, is_whole: bool = True) -> Fingerprint:
    """Of what this process holds of a tensor of that name."""
    presence, factor = presence_of(name, holding)
    value = num_elements = 0
    for piece in holding.pieces:
        value += (known_sum(piece) if is_whole else int(quick_sum(piece))) * factor
        num_elements += piece.local.numel()
        # That the tensor is there, be it of zeros, is for one process to say.
        value += presence if not any(piece.offsets) else 0
    return fingerprint(value, num_elements, is_part=holding.is_part)


def presence_of(name: str, holding: Holding) -> tuple[int, int]:
    """What stands for a tensor of that name, type and shape, whatever its elements, and by what their sum is multiplied."""
    presence = text_key(f"{name} {holding.dtype} {holding.shape}")
    return presence, text_key(f"{presence}") | 1


def _leaves(state: Any, path: tuple[str, ...], holders: tuple[int, ...]) -> Iterator[tuple[str, Any]]:
    """Every leaf with its path; an empty mapping or sequence is one."""
    state = state if is_honest(state) else _OPAQUE
    inner = _inside(state, holders)
    if not inner:
        yield "/".join(path), state
        return
    for key, value in inner:
        yield from _leaves(value, (*path, key), (*holders, id(state)))


def _inside(state: Any, holders: tuple[int, ...]) -> list[tuple[str, Any]] | None:
    """What a state consists of; None for a leaf, and for what lies within itself, or too deep.

    Args:
        state: One that says what it is.
        holders: `id` of each state in which it lies.
    """
    if id(state) in holders or len(holders) >= _MAX_DEPTH:
        return None
    return asked(partial(_parts, state), None)


def _parts(state: Any) -> list[tuple[str, Any]] | None:
    inside: list[tuple[str, Any]] | None = None
    match state:
        case torch.Tensor():
            inside = tensors_inside(state)
        case Mapping():
            inside = [(_escaped(str(key)), value) for key, value in state.items()]
        case list() | tuple():
            inside = [(str(number), value) for number, value in enumerate(state)]
        case set() | frozenset():
            inside = [(_escaped(text), None) for text in sorted(map(repr, state))]
        case np.ndarray() if state.dtype == object:
            inside = [(str(number), value) for number, value in enumerate(state.reshape(-1).tolist())]
        case torch.nn.Module():  # its own `state_dict` may wait for other ranks
            inside = [*own_parameters(state), *buffers_of(state), *children_of(state)]
        case np.random.Generator() | np.random.RandomState() | random.Random() | torch.Generator():
            inside = [("state", _state_of_generator(state))]
    return inside


def _state_of_generator(generator: Any) -> Any:
    match generator:
        case np.random.Generator():
            return dict(generator.bit_generator.state)
        case np.random.RandomState():
            return generator.get_state(legacy=False)
        case random.Random():
            return generator.getstate()
    return generator.get_state()


def _escaped(key: str) -> str:
    """No two paths look alike, whatever the keys hold."""
    return key.replace("\\", "\\\\").replace("/", "\\/") or "\\"


def tensors_inside(tensor: torch.Tensor) -> list[tuple[str, Any]] | None:
    """What a subclass is made of, as torch itself takes it apart, by name; None for a plain tensor and for a shard."""
    if hasattr(tensor, "placements") or not hasattr(tensor, "__tensor_flatten__"):
        return None
    names, context = tensor.__tensor_flatten__()
    return [*((name, getattr(tensor, name)) for name in names), ("context", repr(context))]


def _leaf(path: str, value: Any, *, is_whole: bool) -> Fingerprint:
    if issubclass(type(value), torch.Tensor):
        return _tensor(path, value, is_whole=is_whole)
    refused = _text(path, f"{type(value).__qualname__} refuses")
    return asked(partial(_plain_leaf, path, value, is_whole=is_whole), refused)


def _plain_leaf(path: str, value: Any, *, is_whole: bool) -> Fingerprint:
    match value:
        case np.ndarray() | np.generic():
            return _array(path, np.asarray(value), is_whole=is_whole)
        case bytes() | bytearray():
            return _array(path, np.frombuffer(value, dtype=np.uint8), is_whole=is_whole)
        case float():
            text = value.hex()
        case str() | int() | complex() | None | torch.dtype() | torch.device():
            text = repr(value)
        case Mapping() | list() | tuple() | set() | frozenset():
            text = f"of {len(value)}"
        case _:
            text = f"opaque, of {type(value).__module__}"
    return _text(path, f"{type(value).__qualname__} {text}")


def _tensor(path: str, tensor: torch.Tensor, *, is_whole: bool) -> Fingerprint:
    try:
        return holding_fingerprint(path, holding_of(tensor), is_whole=is_whole)
    except OpaqueTensorError as reason:
        dtype = asked(lambda: str(tensor.dtype), "of no type")
        shape = asked(
            lambda: str(tuple(tensor.shape)), "of no shape"
        )  # ragged, or of a lazy module that nobody has called
        return _text(path, f"opaque {dtype} {shape} {reason}")


def _array(path: str, array: np.ndarray[Any, Any], *, is_whole: bool) -> Fingerprint:
    """As a tensor of the same bytes: not all types of NumPy are torch's."""
    data = torch.from_numpy(np.frombuffer(np.ascontiguousarray(array).tobytes(), dtype=np.uint8).copy())
    return tensor_fingerprint(f"{path} array {array.dtype} {array.shape}", data, is_whole=is_whole)


def _text(path: str, text: str) -> Fingerprint:
    return fingerprint(text_key(f"{path}\0{text}"), 1)
