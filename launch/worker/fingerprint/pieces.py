"""What this process holds of a tensor: all of it, or blocks of one that is spread over processes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch

from resumable.launch.worker.strangers import asked


class OpaqueTensorError(ValueError):
    """The elements of a tensor cannot be read; the message is what is known of it."""


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A block of a tensor.

    Args:
        local: Its elements: a plain tensor.
        shape: Of the whole tensor.
        offsets: Where the block begins in it, in each dimension.
        strides: How far apart in the whole tensor, which lies there row by row, neighbours are in each dimension.
    """

    local: torch.Tensor
    shape: tuple[int, ...]
    offsets: tuple[int, ...]
    strides: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        strides = [math.prod(self.shape[dimension + 1 :]) for dimension in range(len(self.shape))]
        object.__setattr__(self, "strides", tuple(strides))

    @property
    def start(self) -> int:
        """Number of its first element in the whole tensor."""
        return sum(offset * stride for offset, stride in zip(self.offsets, self.strides, strict=True))

    @property
    def is_run(self) -> bool:
        """Its elements follow each other in the whole tensor without a gap."""
        sizes = tuple(self.local.shape)
        first = next((number for number, size in enumerate(sizes) if size != 1), len(sizes))
        return sizes[first + 1 :] == self.shape[first + 1 :]


@dataclass(frozen=True, kw_only=True)
class Holding:
    """What this process holds of a tensor.

    Args:
        dtype: Of its elements.
        shape: Of the whole.
        pieces: Without those that another process holds too and answers for.
        is_part: It is spread over processes.
    """

    dtype: torch.dtype
    shape: tuple[int, ...]
    pieces: tuple[Piece, ...]
    is_part: bool = False


def holding_of(tensor: torch.Tensor) -> Holding:
    """What this process holds of a tensor of any kind.

    Raises:
        OpaqueTensorError: there is nothing to read, or nobody says where its elements belong.
    """
    if hasattr(tensor, "local_shards"):
        return _of_sharded(tensor)
    if hasattr(tensor, "placements"):
        return _of_distributed(tensor)
    local = _readable(_detached(tensor))
    whole = Piece(local=local, shape=tuple(local.shape), offsets=(0,) * local.dim())
    return Holding(dtype=tensor.dtype, shape=whole.shape, pieces=(whole,))


def _of_sharded(tensor: torch.Tensor) -> Holding:
    """Of a `ShardedTensor`, whose shards say where they lie."""
    shape = tuple(tensor.size())
    pieces = [
        Piece(local=_readable(shard.tensor.detach()), shape=shape, offsets=tuple(shard.metadata.shard_offsets))
        for shard in tensor.local_shards()  # type: ignore[attr-defined]
    ]
    return Holding(dtype=tensor.dtype, shape=shape, pieces=tuple(pieces), is_part=True)


def _of_distributed(tensor: torch.Tensor) -> Holding:
    """Of a `DTensor`, which lists its blocks for whoever saves it."""
    shape, placements, mesh = tuple(tensor.shape), tensor.placements, tensor.device_mesh  # type: ignore[attr-defined]
    if any(placement.is_partial() for placement in placements):
        raise OpaqueTensorError("a sum that is not yet formed")
    local = _readable(tensor.to_local().detach())  # type: ignore[attr-defined]
    if all(placement.is_replicate() for placement in placements):
        whole = Piece(local=local, shape=shape, offsets=(0,) * len(shape))
        return Holding(dtype=tensor.dtype, shape=shape, pieces=(whole,))
    coordinate = mesh.get_coordinate() or ()
    copies = zip(coordinate, placements, strict=False)
    is_copy = not coordinate or any(number > 0 and placement.is_replicate() for number, placement in copies)
    pieces = () if is_copy else tuple(_blocks(tensor, local, shape))
    return Holding(dtype=tensor.dtype, shape=shape, pieces=pieces, is_part=True)


def _blocks(tensor: torch.Tensor, local: torch.Tensor, shape: tuple[int, ...]) -> Iterator[Piece]:
    chunks = tensor.__create_chunk_list__()  # type: ignore[attr-defined]
    if len(chunks) == 1:
        yield Piece(local=local, shape=shape, offsets=tuple(chunks[0].offsets))
    elif local.numel():
        raise OpaqueTensorError(f"a shard of {len(chunks)} blocks")


def _detached(tensor: torch.Tensor) -> torch.Tensor:
    detached = asked(tensor.detach, None)  # a subclass may refuse anything, as what is not initialised does
    if detached is None:
        raise OpaqueTensorError(f"a {type(tensor).__qualname__} that refuses")
    return detached


def _readable(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor with its own elements in memory, in the usual layout or as a coalesced list of them."""
    if hasattr(tensor, "__tensor_flatten__") or tensor.is_nested:
        raise OpaqueTensorError(f"a {type(tensor).__qualname__} of several tensors")
    if tensor.is_quantized:
        raise OpaqueTensorError("quantized")
    if tensor.layout is not torch.strided:
        return _listed(tensor)
    plain = asked(lambda: tensor.as_subclass(torch.Tensor), None)  # a subclass may only look like a tensor
    if plain is None or not asked(lambda: plain.untyped_storage().data_ptr() != 0 or plain.numel() == 0, False):
        raise OpaqueTensorError("without memory")  # on the device meta, or of a fake mode
    return plain.resolve_conj().resolve_neg()


def _listed(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.layout is torch.sparse_coo:
        return tensor.coalesce()
    if tensor.layout in {torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc}:
        return tensor.to_sparse(layout=torch.sparse_coo).coalesce()
    raise OpaqueTensorError(f"of layout {tensor.layout}")
