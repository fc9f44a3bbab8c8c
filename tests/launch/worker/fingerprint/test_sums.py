from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from resumable.launch.evidence.fingerprints import Fingerprint, merged
from resumable.launch.worker.fingerprint.keys import BLOCK_WORDS, word_keys
from resumable.launch.worker.fingerprint.pieces import Holding, Piece
from resumable.launch.worker.fingerprint.states import holding_fingerprint, tensor_fingerprint
from resumable.launch.worker.fingerprint.sums import quick_sum, sampled_elements, whole_sum

DTYPES = [
    torch.float64,
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.float8_e4m3fn,
    torch.complex64,
    torch.complex128,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.bool,
]
SIZES = st.sampled_from([1, 2, 3, 7, 1024, 1025, BLOCK_WORDS - 1, BLOCK_WORDS, 2 * BLOCK_WORDS + 5, 40_000])
SEEDS = st.integers(0, 2**32)


def tensor_of(dtype: torch.dtype, shape: tuple[int, ...], seed: int) -> torch.Tensor:
    """Of any bits, for floating-point numbers NaNs and infinities among them."""
    generator = torch.Generator().manual_seed(seed)
    if dtype is torch.bool:
        return torch.randint(0, 2, shape, generator=generator).bool()
    num_bytes = math.prod(shape) * dtype.itemsize
    return torch.randint(0, 256, (num_bytes,), dtype=torch.uint8, generator=generator).view(dtype).reshape(shape)


def modular(tensors: list[torch.Tensor]) -> int:
    return int(torch.stack(tensors).sum()) if tensors else 0


def exact_sum(tensor: torch.Tensor) -> int:
    """The definition, in Python's integers: words of 32 bits with their signs, each by its key."""
    data = tensor.reshape(-1).view(torch.uint8)
    words = torch.nn.functional.pad(data, (0, -data.numel() % 4)).view(torch.int32).tolist()
    keys = word_keys(torch.arange(len(words))).tolist()
    return sum(key * word for key, word in zip(keys, words, strict=True)) % 2**64


def whole(tensor: torch.Tensor) -> Piece:
    return Piece(local=tensor, shape=tuple(tensor.shape), offsets=(0,) * tensor.dim())


@given(st.sampled_from(DTYPES), SIZES, SEEDS)
def test_the_sum_is_what_its_definition_says(dtype: torch.dtype, size: int, seed: int) -> None:
    """Whatever the type, and wherever blocks of words end."""
    tensor = tensor_of(dtype, (size,), seed)
    assert int(whole_sum(whole(tensor))) % 2**64 == exact_sum(tensor)


@given(
    st.sampled_from(DTYPES),
    SIZES,
    SEEDS,
    st.lists(st.integers(0, 40_000), max_size=6),
    st.sampled_from([whole_sum, quick_sum]),
)
def test_runs_of_a_tensor_add_up_wherever_it_is_cut(dtype, size, seed, cuts, sum_of) -> None:
    """At odd bytes, inside words, several times at the same place: as flat parameters are cut."""
    tensor = tensor_of(dtype, (size,), seed)
    borders = sorted({0, size, *(cut % size for cut in cuts)})
    pieces = [Piece(local=tensor[begin:end], shape=(size,), offsets=(begin,)) for begin, end in pairwise(borders)]
    assert modular([sum_of(piece) for piece in pieces]) == int(sum_of(whole(tensor)))


@given(
    st.sampled_from(DTYPES),
    st.lists(st.sampled_from([1, 2, 5, 12, 67]), min_size=1, max_size=3),
    SEEDS,
    st.data(),
    st.sampled_from([whole_sum, quick_sum]),
)
def test_blocks_of_a_tensor_add_up_wherever_it_is_cut(dtype, shape, seed, data, sum_of) -> None:
    """In any dimensions, into any number of blocks of any sizes, empty ones too."""
    tensor = tensor_of(dtype, tuple(shape), seed)
    blocks = [(tensor, (0,) * len(shape))]
    for dimension, size in enumerate(shape):
        cuts = sorted(data.draw(st.lists(st.integers(0, size), max_size=3)))
        borders = [0, *cuts, size]
        blocks = [
            (
                block.narrow(dimension, begin, end - begin),
                tuple(begin if number == dimension else offset for number, offset in enumerate(offsets)),
            )
            for block, offsets in blocks
            for begin, end in pairwise(borders)
        ]
    pieces = [Piece(local=block, shape=tuple(shape), offsets=offsets) for block, offsets in blocks]
    assert modular([sum_of(piece) for piece in pieces]) == int(sum_of(whole(tensor)))


@given(st.sampled_from(DTYPES), SIZES, SEEDS, st.data())
def test_a_changed_bit_shows(dtype: torch.dtype, size: int, seed: int, data: st.DataObject) -> None:
    """Any bit of any element: signs of zeros and payloads of NaNs count."""
    tensor = tensor_of(dtype, (size,), seed)
    changed = tensor.clone()
    data_bytes = changed.view(torch.uint8)
    place = data.draw(st.integers(0, data_bytes.numel() - 1))
    data_bytes[place] ^= 1 if dtype is torch.bool else 1 << data.draw(st.integers(0, 7))
    assert tensor_fingerprint("x", changed) != tensor_fingerprint("x", tensor)


@given(st.sampled_from(DTYPES), SIZES, SEEDS, st.data())
def test_exchanged_elements_show(dtype: torch.dtype, size: int, seed: int, data: st.DataObject) -> None:
    """The sum depends on where an element stands, unless both are the same."""
    tensor = tensor_of(dtype, (size,), seed)
    one, other = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size - 1))
    exchanged = tensor.clone()
    exchanged[one], exchanged[other] = tensor[other].clone(), tensor[one].clone()
    is_same = torch.equal(exchanged.view(torch.uint8), tensor.view(torch.uint8))
    assert (tensor_fingerprint("x", exchanged) == tensor_fingerprint("x", tensor)) == is_same


@pytest.mark.parametrize("num_elements", [4, 5000])
def test_elements_that_differ_in_their_signs_alone_show_when_they_are_exchanged(num_elements: int) -> None:
    """The weakest case of a sum of products: the difference is the highest bit of a word."""
    tensor = torch.ones(num_elements)
    tensor[1] = -1
    others = [tensor.roll(shift) for shift in range(1, 4)]
    assert len({tensor_fingerprint("x", other).whole for other in [tensor, *others]}) == 4


@pytest.mark.parametrize(
    "other",
    [
        torch.zeros(3, 2),
        torch.zeros(6),
        torch.zeros(2, 3, dtype=torch.int32),
        torch.zeros(2, 3).double(),
        torch.ones(2, 3),
    ],
)
def test_shape_and_type_show(other: torch.Tensor) -> None:
    """Zeros of another shape or type are another state."""
    assert tensor_fingerprint("x", other) != tensor_fingerprint("x", torch.zeros(2, 3))


def test_memory_layout_does_not_show() -> None:
    """A transposed or strided view is what its copy is, for the quick form too; so are channels that lie last."""
    image = torch.randn(3, 40, 30, 20).to(memory_format=torch.channels_last)
    for view in (torch.randn(60, 70).T, torch.randn(300, 20)[::3, ::2], image, torch.randn(1, 1)[0, 0]):
        assert tensor_fingerprint("x", view) == tensor_fingerprint(
            "x", view.clone(memory_format=torch.contiguous_format)
        )
        assert tensor_fingerprint("x", view, is_whole=False) == tensor_fingerprint(
            "x", view.clone(memory_format=torch.contiguous_format), is_whole=False
        )


def test_words_that_are_not_aligned_in_memory_are_read() -> None:
    """A slice of a byte buffer may begin anywhere."""
    data = torch.arange(100, dtype=torch.uint8)
    assert tensor_fingerprint("x", data[3:90]) == tensor_fingerprint("x", data[3:90].clone())


def test_conjugates_and_negatives_that_are_only_marked_count_as_they_are() -> None:
    """torch turns some signs only when somebody reads."""
    tensor = torch.tensor([1 + 2j, 3 - 4j])
    assert tensor_fingerprint("x", tensor.conj()) == tensor_fingerprint("x", tensor.conj().resolve_conj())
    assert tensor_fingerprint("x", tensor.conj().imag) == tensor_fingerprint("x", tensor.conj().imag.clone())


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta")
@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr])
def test_a_sparse_tensor_has_the_fingerprint_of_its_dense_twin(layout: torch.layout) -> None:
    """What is not listed is zero."""
    dense = torch.randn(50, 40).relu()
    listed = tensor_fingerprint("x", dense.to_sparse(layout=layout))
    assert listed.whole == tensor_fingerprint("x", dense).whole


def _held(run: torch.Tensor, begin: int) -> Holding:
    """A run of a tensor of 1000 elements that is spread over processes."""
    piece = Piece(local=run, shape=(1000,), offsets=(begin,))
    return Holding(dtype=run.dtype, shape=piece.shape, pieces=(piece,), is_part=True)


def test_flat_shards_with_their_borders_anywhere_are_merged() -> None:
    """As a flat parameter of 1000 elements is cut for 3 ranks and for 7."""
    flat = torch.randn(1000).bfloat16()

    def shards(num_ranks: int) -> list[Fingerprint]:
        size = -(-1000 // num_ranks)
        runs = [(rank * size, flat[rank * size : (rank + 1) * size]) for rank in range(num_ranks)]
        return [holding_fingerprint("p", _held(run, begin)) for begin, run in runs]

    expected = tensor_fingerprint("p", flat)
    for num_ranks in (1, 3, 7):
        own, *others = shards(num_ranks)
        assert merged(own, others) == expected


@pytest.mark.parametrize("num_elements", [1, 1000, 1025, 1100, 80_000, 4096 * 4096])
def test_the_quick_form_looks_everywhere(num_elements: int) -> None:
    """At most 256 elements, the first and the last among them, and none far from the next."""
    numbers = sampled_elements(num_elements)
    gaps = numbers.diff(prepend=torch.tensor([-1]))
    assert len(numbers) <= 256
    assert [0, num_elements - 1] == [int(numbers[0]), int(numbers[-1])]
    assert int(gaps.min()) >= 1
    assert int(gaps.max()) <= max(1, num_elements / 12)


def test_the_quick_form_sees_every_part_of_a_matrix() -> None:
    """Its runs do not all lie in the same columns."""
    assert len((sampled_elements(4096 * 4096) % 4096).unique()) > 200
