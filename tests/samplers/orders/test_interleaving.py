"""Which member comes where, against a count by hand with exact fractions."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resumable.samplers.orders.interleaving import Interleaving

weights = st.lists(st.integers(0, 50) | st.integers(0, 999).map(lambda n: n / 1000), min_size=1, max_size=6).filter(any)


def phase(number):
    """Van der Corput's sequence, from its definition: the binary digits behind the point, backwards."""
    return sum(Fraction(int(digit), 2 ** (place + 1)) for place, digit in enumerate(reversed(f"{number:b}")))


def shares(row, block):
    """How often each member comes in a block: its points, counted."""
    ends = [Fraction(sum(map(Fraction, row[: number + 1]))) / sum(map(Fraction, row)) for number in range(len(row))]
    points = [(slot + phase(block)) / 32 for slot in range(32)]
    return [sum(low <= point < high for point in points) for low, high in zip([0, *ends], ends, strict=False)]


@given(row=weights, num_blocks=st.integers(1, 12))
def test_each_block_holds_what_the_definition_gives_it(row, num_blocks):
    """Counted point by point."""
    members, _ = Interleaving(row, 7).members(np.arange(32 * num_blocks))
    found = [np.bincount(part, minlength=len(row)).tolist() for part in members.reshape(-1, 32)]
    assert [shares(row, block) for block in range(num_blocks)] == found


@given(row=weights, start=st.integers(0, 2000))
def test_a_samples_number_is_how_many_of_its_member_came_before(row, start):
    """On a walk from the beginning."""
    interleaving, seen = Interleaving(row, 3), [0] * len(row)
    members, counts = interleaving.members(np.arange(2100))
    for member, count in zip(members.tolist(), counts.tolist(), strict=True):
        assert seen[member] == count
        seen[member] += 1
    assert np.bincount(members[:start], minlength=len(row)).tolist() == interleaving.counts(start).tolist()


@given(row=weights, start=st.integers(0, 2**60), length=st.integers(1, 200))
def test_far_away_the_numbers_go_on_without_a_hole(row, start, length):
    """Where nobody can walk to: one after the other, and in proportion to the weights up to a few."""
    interleaving = Interleaving(row, 3)
    before, after = interleaving.counts(start), interleaving.counts(start + length)
    members, counts = interleaving.members(np.arange(start, start + length))
    for member in range(len(row)):
        assert list(range(before[member], after[member])) == counts[members == member].tolist()
    assert before.sum() == start
    expected = [int(Fraction(weight) * start / sum(map(Fraction, row))) for weight in row]
    assert max(abs(int(found) - wanted) for found, wanted in zip(before, expected, strict=True)) <= 64


@pytest.mark.parametrize("distance", [1, 2, 3, 32])
def test_members_do_not_follow_a_pattern(distance):
    """Two members at equal weights, a rank's stride apart: as if a coin were tossed."""
    members, _ = Interleaving([1, 1], 5).members(np.arange(64_000))
    same = (members[:-distance] == members[distance:]).mean()
    assert abs(same - 0.5) < 0.03
    assert abs(members[::distance].mean() - 0.5) < 0.02
