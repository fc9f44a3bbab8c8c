from __future__ import annotations

from resumable.launch.explain.outcome import Outcome
from resumable.launch.sweep.grid_text import grid_lines
from resumable.launch.sweep.marks import OUTCOMES, RUNNING
from tests.launch.sweep.sweeps import drawn

MARKS = {
    "sigkill-step0000-rank0": OUTCOMES[Outcome.VALID],
    "sigkill-step0003-rank1": OUTCOMES[Outcome.INVALID],
    "sigkill-step0011-rank1": OUTCOMES[Outcome.UNKNOWN],
    "sigkill-step0004-rank0": RUNNING,
}
LEGEND = ". VALID  X INVALID  ? UNKNOWN  - to do  > running"


def rendered(width: int, **words: str) -> list[str]:
    return [line.plain for line in grid_lines(drawn(**words).points, MARKS, width)]


def test_a_wide_terminal_shows_every_step_with_its_number() -> None:
    """One row a rank, one letter a cell."""
    assert rendered(80) == [
        "sigkill at step",
        "        0  1  2  3  4  5  6  7  8  9  10 11",
        "rank 0  .  -  -  -  >  -  -  -  -  -  -  -",
        "rank 1  -  -  -  X  -  -  -  -  -  -  -  ?",
        LEGEND,
    ]


def test_where_numbers_do_not_fit_every_fifth_has_one() -> None:
    """The letters stand side by side."""
    assert rendered(30) == [
        "sigkill at step",
        "        0    5    10",
        "rank 0  .--->-------",
        "rank 1  ---X-------?",
        LEGEND,
    ]


def test_rows_that_are_too_long_are_folded() -> None:
    """Each part has its own header."""
    assert rendered(16) == [
        "sigkill at step",
        "        0    5",
        "rank 0  .--->---",
        "rank 1  ---X----",
        "        8",
        "rank 0  ----",
        "rank 1  ---?",
        LEGEND,
    ]


def test_each_kind_and_unit_has_a_grid_of_its_own() -> None:
    """Moments that are counted differently do not share an axis."""
    lines = rendered(80, at="0,epoch=1,batch=2,epoch=2,batch=0,save#1+during", kinds="sigkill,exit(3)", ranks="0")
    assert [line for line in lines if " at " in line] == [
        "exit(3) at epoch,batch",
        "exit(3) at save+during",
        "exit(3) at step",
        "sigkill at epoch,batch",
        "sigkill at save+during",
        "sigkill at step",
    ]
    assert "        1,2 2,0" in lines


def test_ranks_that_are_hit_together_share_a_row() -> None:
    """It names them."""
    assert rendered(80, ranks="each,0+1", at="3")[2:5] == ["rank 0    -", "rank 1    X", "rank 0+1  -"]


def test_without_points_there_is_no_grid() -> None:
    """Not even an empty line: references are run before the points are known."""
    assert grid_lines([], {}, 80) == []
