import msgspec
import pytest

from resumable.launch.judge.results import Results
from resumable.launch.outcome import Outcome
from resumable.launch.report.grid import grids_of, outside_grids
from tests.launch.report import samples


def sweep_of(*names: str) -> Results:
    """A sweep with these faults, each VALID."""
    results = samples.sweep(num_steps=1, num_ranks=1)
    cases = tuple(msgspec.structs.replace(results.cases[0], name=name, faults=(name,)) for name in names)
    return msgspec.structs.replace(results, cases=cases)


def test_a_row_is_a_rank_and_a_column_a_step():
    """Both in the order of their numbers."""
    [grid] = grids_of(sweep_of("sigkill@step=10:rank=10", "sigkill@step=9:rank=9"))
    assert (grid.columns, [row.who for row in grid.rows]) == (("9", "10"), ["rank 9", "rank 10"])


def test_what_was_not_tried_is_no_cell():
    """It is neither good nor bad."""
    [grid] = grids_of(sweep_of("sigkill@step=0:rank=0", "sigkill@step=1:rank=1"))
    assert [[cell is not None for cell in row.cells] for row in grid.rows] == [[True, False], [False, True]]


@pytest.mark.parametrize(
    ("fault", "unit", "column"),
    [
        ("sigkill@step=7:rank=1", "step", "7"),
        ("sigkill@epoch=2,batch=3:rank=1", "epoch,batch", "2,3"),
        ("exit(3)@resume+4:rank=1", "resume", "4"),
        ("torn(keep=0.5)@save#2+after:rank=0", "save+after", "2"),
        ("preempt(grace=5)@step=7:node=0", "step", "7"),
    ],
)
def test_every_moment_of_the_grammar_has_its_column(fault, unit, column):
    """What is counted, and the number."""
    [grid] = grids_of(sweep_of(fault))
    assert (unit, (column,)) == (grid.unit, grid.columns)


def test_each_kind_has_a_grid_of_its_own():
    """And each unit that moments are counted in."""
    names = ("sigkill@step=7:rank=1", "exit(1)@step=7:rank=1", "sigkill@batch=7:rank=1")
    assert len(grids_of(sweep_of(*names))) == 3


def test_of_cases_in_one_cell_the_worst_shows():
    """A case that was tried twice must not hide its failure."""
    twice = samples.sweep().cases[3], samples.sweep().cases[15]
    same = [msgspec.structs.replace(case, faults=("sigkill@step=3:rank=1",)) for case in twice]
    [grid] = grids_of(msgspec.structs.replace(samples.sweep(), cases=tuple(same)))
    assert [case.verdict.outcome for case in same] == [Outcome.VALID, Outcome.INVALID]
    assert grid.rows[0].cells[0].outcome == Outcome.INVALID


@pytest.mark.parametrize("faults", [(), ("sigkill@step=7:rank=1",) * 2, ("what is this",)])
def test_a_case_without_one_place_stays_outside(faults):
    """No fault, several, or one that cannot be read."""
    results = sweep_of("x")
    case = msgspec.structs.replace(results.cases[0], faults=faults)
    changed = msgspec.structs.replace(results, cases=(case,))
    assert ((), (case,)) == (grids_of(changed), outside_grids(changed))
