import msgspec

from resumable.launch.explain.outcome import Outcome
from resumable.launch.judge.results import Case
from resumable.launch.report.grid import case_grids, mark_of_cell, marks_for, outcome_of, outside_grids
from resumable.launch.sweep.marks import NOT_RUN, OUTCOMES
from tests.launch.report import samples


def as_text_alone(case: Case) -> Case:
    """As version 1 had it."""
    return msgspec.structs.replace(case, planned_faults=())


def test_every_case_with_a_fault_stands_in_a_grid():
    """One cell each: 2 ranks by 12 steps."""
    results = samples.sweep()
    [grid] = case_grids(results)
    cells = [cases for row in grid.rows for cases in row.cells]
    assert [(case,) for case in results.cases] == cells
    assert outside_grids(results) == ()


def test_a_case_whose_faults_are_text_stays_outside():
    """Text is not read again."""
    results = samples.sweep()
    first, *rest = results.cases
    changed = msgspec.structs.replace(results, cases=(as_text_alone(first), *rest))
    assert (as_text_alone(first),) == outside_grids(changed)


def test_of_cases_in_one_cell_the_worst_shows():
    """A case that was tried twice must not hide its failure."""
    cases = samples.sweep().cases[3], samples.sweep().cases[15]
    assert [case.verdict.outcome for case in cases] == [Outcome.VALID, Outcome.INVALID]
    assert outcome_of(cases) == Outcome.INVALID


def test_what_was_not_run_has_a_cell_of_its_own():
    """And stands in the legend; where all was run, it does not."""
    results = samples.broken_off()
    [grid] = case_grids(results)
    looks = {mark_of_cell(cell) for row in grid.rows for cell in row.cells}
    assert {NOT_RUN, OUTCOMES[Outcome.INVALID]} == looks
    assert (NOT_RUN in marks_for(results), NOT_RUN in marks_for(samples.sweep())) == (True, False)
