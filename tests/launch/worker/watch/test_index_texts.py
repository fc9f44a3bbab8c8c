"""The samples of a batch as a text: what is read is what was drawn, and short where it follows a rule."""

from __future__ import annotations

import random
import struct

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from resumable.launch.evidence.index_text import MOST_SAMPLES, indices_of
from resumable.launch.worker.watch.index_texts import index_text, samples_digest

NUMBERS = st.integers(0, 1 << 20)
DRAWN = st.lists(st.integers(0, 1 << 60), max_size=300)
STRIDED = st.builds(
    lambda first, step, num: [abs(first + step * place) for place in range(num)],
    NUMBERS,
    st.integers(-70_000, 70_000),
    st.integers(0, 300),
)
BLOCKS = st.lists(st.tuples(NUMBERS, st.integers(1, 40)), max_size=20).map(
    lambda blocks: [first + place for first, num in blocks for place in range(num)]
)
NEAR = st.builds(
    lambda base, places: [base + place for place in places],
    st.integers(0, 1 << 40),
    st.lists(st.integers(0, 400), min_size=65, max_size=300),
)


@given(DRAWN | STRIDED | BLOCKS | NEAR)
def test_the_text_stands_for_the_samples_that_were_drawn(indices: list[int]) -> None:
    """Whatever rule they follow, in their order; where there is no text, they stay a list."""
    text = index_text(indices)
    assert indices == (indices_of(text) if text else indices)


SHUFFLED = random.Random(0).sample(range(1_000_000), 4096)
PLACES = random.Random(0).sample(range(60_000), 256)


@pytest.mark.parametrize(
    ("indices", "most"),
    [
        pytest.param(list(range(36)), 4, id="few in a row"),
        pytest.param(list(range(8192, 12288)), 10, id="in a row"),
        pytest.param(list(range(3, 4 * 4096, 4)), 10, id="every fourth"),
        pytest.param(list(range(4096, 0, -1)), 6, id="downwards"),
        pytest.param([16 * place + i for place in PLACES for i in range(16)], 4096, id="shuffled blocks"),
        pytest.param(sorted(SHUFFLED[:128]), 400, id="in order"),
        pytest.param([1_000_000 + one % 997 for one in SHUFFLED], 11_000, id="from one shard"),
        pytest.param(SHUFFLED, 16_400, id="shuffled"),
    ],
)
def test_a_batch_is_as_long_as_what_there_is_to_know_of_it(indices: list[int], most: int) -> None:
    """A rule takes tens of bytes, and what follows none the bytes that its greatest number needs."""
    text = index_text(indices)
    assert (indices, True) == (indices_of(text), len(text) <= most)


@pytest.mark.parametrize(
    "indices",
    [
        pytest.param([], id="none"),
        pytest.param([5, 6, 7], id="few"),
        pytest.param([5] * 8, id="the same again"),
        pytest.param(list(range(-4, 5)), id="below zero"),
        pytest.param(list(range(-1, 99)), id="many, below zero"),
        pytest.param(list("abcdefgh"), id="keys"),
        pytest.param([*range(99), "x"], id="a key among many"),
        pytest.param([(1 << 70) + one for one in range(9)], id="huge"),
        pytest.param([*range(99), 1 << 70], id="huge among many"),
    ],
)
def test_what_no_text_says_stays_a_list(indices: list[int | str]) -> None:
    """Keys that are no numbers, numbers below zero, and what is as short as a list."""
    assert index_text(indices) == ""


@pytest.mark.parametrize(
    "text",
    [
        "0-5/0",
        "a",
        "1-",
        ",",
        "-1",
        "0-5,",
        "*0:AAAA",
        "*3:AA==",
        "*9:AAAA",
        "*1:A",
        "+1:0:AAAA",
        "٣-٤",
        f"0-{MOST_SAMPLES}",
    ],
)
def test_text_of_a_stranger_is_refused(text: str) -> None:
    """Whatever is no text of ours, and what stands for more samples than fit into memory."""
    with pytest.raises(ValueError):  # noqa: PT011 - base64's own is another one than ours
        indices_of(text)


def test_a_digest_of_samples_is_of_all_their_numbers_in_eight_bytes_each() -> None:
    """As the page about evidence says, on any machine; so a reader can tell which samples they were."""
    numbers = [3, -1, 2**40]
    assert samples_digest(numbers) == xxhash.xxh3_128_hexdigest(struct.pack("<3q", *numbers))
