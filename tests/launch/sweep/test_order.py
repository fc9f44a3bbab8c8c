from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resumable.launch.plan.plan import Scenario
from resumable.launch.sweep.order import in_order, spread, telling_points
from tests.launch.sweep.sweeps import LENGTH, drawn


@pytest.mark.parametrize(
    ("at", "expected"), [("all", [4, 6, 10, 11, 1]), ("every:5", [6, 11, 1]), ("epoch=1,batch=2", [6]), ("save#1", [])]
)
def test_points_where_most_mistakes_show_come_first(at: str, expected: list[int]) -> None:
    """Of three epochs of four steps: the first border, the middle of the second, later again, the end, the beginning."""
    points = drawn(at=at, ranks="0").points
    assert expected == [LENGTH.place_of(point) for point in telling_points(points, LENGTH)]
    assert expected == [LENGTH.place_of(point) for point in points][: len(expected)]


def test_each_rank_is_hit_there() -> None:
    """One after the other."""
    assert [str(point.faults[0])[8:] for point in drawn().points[:2]] == ["step=3:rank=0", "step=3:rank=1"]


def test_no_point_is_lost_by_putting_them_in_order() -> None:
    """Nor doubled."""
    points = drawn().points
    assert sorted(point.name for point in points) == sorted(point.name for point in in_order(points, LENGTH))


@given(num_points=st.integers(0, 200), num_done=st.integers(1, 200))
def test_however_early_a_sweep_ends_its_points_lie_spread(num_points: int, num_done: int) -> None:
    """No point is lost or doubled; no gap between those that are done is wider than four even ones."""
    points = [Scenario(name=f"{number}", nproc_per_start=(1,)) for number in range(num_points)]
    order = [int(point.name) for point in spread(points)]
    assert list(range(num_points)) == sorted(order)
    done = [-1, *sorted(order[:num_done]), num_points]
    largest = max(right - left for left, right in pairwise(done))
    assert largest <= 4 * (num_points // min(num_done, max(1, num_points)) + 1)
