from __future__ import annotations

import pytest

from resumable.launch.plan.fault_grammar import parse_fault
from resumable.launch.plan.fault_model import PlannedFault, resolve
from resumable.launch.sweep.grid import Grid, grids_of


def point(*texts: str) -> tuple[PlannedFault, ...]:
    return resolve([parse_fault(text) for text in texts], world_size=20, num_nodes=2, seed=0)


def grids(*points: tuple[PlannedFault, ...]) -> tuple[Grid[int], ...]:
    """Each cell holds the numbers of its points."""
    return grids_of((faults, number) for number, faults in enumerate(points))


def test_a_row_is_a_rank_and_a_column_a_step() -> None:
    """Both in the order of their numbers."""
    [grid] = grids(point("sigkill@step=10:rank=10"), point("sigkill@step=9:rank=9"))
    assert (grid.columns, [row.who for row in grid.rows]) == (("9", "10"), ["rank 9", "rank 10"])


def test_what_was_not_tried_is_empty() -> None:
    """It is neither good nor bad."""
    [grid] = grids(point("sigkill@step=0:rank=0"), point("sigkill@step=1:rank=1"))
    assert [row.cells for row in grid.rows] == [((0,), ()), ((), (1,))]


@pytest.mark.parametrize(
    ("fault", "unit", "column", "who"),
    [
        ("sigkill@step=7:rank=1", "step", "7", "rank 1"),
        ("sigkill@epoch=2,batch=3:rank=1", "epoch,batch", "2,3", "rank 1"),
        ("exit(3)@resume+4:rank=1", "resume", "4", "rank 1"),
        ("torn(keep=0.5)@save#2+after:rank=0", "save+after", "2", "rank 0"),
        ("sigkill@load#2:rank=0", "load", "2", "rank 0"),
        ("preempt(grace=5)@step=7:node=0", "step", "7", "node 0"),
        ("nodeloss@step=7:node=all", "step", "7", "node 0+1"),
        ("sigkill@step=7:rank=all", "step", "7", "20 ranks"),
    ],
)
def test_every_moment_of_the_grammar_has_its_column(fault: str, unit: str, column: str, who: str) -> None:
    """What is counted, the number, and who is hit."""
    [grid] = grids(point(fault))
    assert (unit, (column,), [who]) == (grid.unit, grid.columns, [row.who for row in grid.rows])


def test_each_kind_has_a_grid_of_its_own() -> None:
    """With its argument; and each unit that moments are counted in."""
    made = grids(point("sigkill@step=7:rank=1"), point("exit(1)@step=7:rank=1"), point("sigkill@batch=7:rank=1"))
    expected = [("exit(1)", "step"), ("sigkill", "batch"), ("sigkill", "step")]
    assert expected == [(grid.kind, grid.unit) for grid in made]


def test_points_with_one_place_share_a_cell() -> None:
    """None hides the other."""
    [grid] = grids(point("torn@step=7:rank=1"), point("torn(keep=0.5)@step=7:rank=1"))
    assert grid.rows[0].cells == ((0, 1),)


def test_ranks_that_are_hit_together_have_a_row_after_single_ones() -> None:
    """It names them."""
    together = point("sigkill@step=7:rank=0", "sigkill@step=7:rank=1")
    [grid] = grids(together, point("sigkill@step=7:rank=12"))
    assert [row.who for row in grid.rows] == ["rank 12", "rank 0+1"]


def test_the_last_moment_is_the_points_own() -> None:
    """An earlier fault only makes it possible: nothing is loaded before a restart."""
    [grid] = grids(point("sigkill@step=3:rank=0", "sigkill@load#0:rank=1"))
    assert (grid.unit, grid.columns, [row.who for row in grid.rows]) == ("load", ("0",), ["rank 1"])


def test_a_point_without_a_fault_has_no_place() -> None:
    """As of an old file."""
    assert grids(()) == ()
