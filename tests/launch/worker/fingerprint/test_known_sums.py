from __future__ import annotations

import torch

from resumable.launch.worker.fingerprint.known_sums import formed_once, known_sum
from resumable.launch.worker.fingerprint.pieces import Piece
from resumable.launch.worker.fingerprint.sums import whole_sum


def piece_of(tensor: torch.Tensor, *, offset: int = 0) -> Piece:
    return Piece(local=tensor.detach(), shape=(2 * tensor.numel(),), offsets=(offset,))


def test_a_sum_is_formed_once_where_nobody_writes() -> None:
    """Two tensors that share their memory, as parameters and what `state_dict` gives of them, are one."""
    tensor = torch.arange(8.0)
    before = int(whole_sum(piece_of(tensor)))
    with formed_once():
        first = known_sum(piece_of(tensor))
        tensor += 1
        assert (before, before) == (first, known_sum(piece_of(tensor)))
    assert int(whole_sum(piece_of(tensor))) == known_sum(piece_of(tensor)) != before


def test_memory_taken_differently_is_something_else() -> None:
    """Where a block lies in the whole decides, and as what its bytes are read."""
    tensor = torch.arange(8.0)
    pieces = [piece_of(tensor), piece_of(tensor, offset=8), piece_of(tensor.view(torch.int64)), piece_of(tensor[::2])]
    with formed_once():
        assert [int(whole_sum(piece)) for piece in pieces] == [known_sum(piece) for piece in pieces]


def test_a_tensor_gets_no_sum_of_one_that_is_gone() -> None:
    """The memory of what was looked at is given to nobody meanwhile."""
    expected = [int(whole_sum(piece_of(torch.full((8,), float(number))))) for number in range(32)]
    with formed_once():
        assert expected == [known_sum(piece_of(torch.full((8,), float(number)))) for number in range(32)]
