import msgspec

from resumable.launch.explain.outcome import Outcome
from resumable.launch.report.story import MAX_CELLS, Cell, Difference, story_of
from tests.launch.report import samples

CASE = samples.of(samples.invalid()).cases[0]


def test_the_first_difference_is_of_the_check_that_decided():
    """With both batches, place by place."""
    story = story_of(CASE.verdict)
    first = story.first
    assert first is not None
    assert (CASE.verdict.cause.check, 1, 4) == (first.check, first.violation.rank, first.violation.step)
    assert [Cell(expected=51, found=58, is_equal=False)] == list(first.cells[:1])


def test_all_violations_are_told_once():
    """The first, and what follows."""
    num = sum(len(report.result.violations) for report in CASE.verdict.checks)
    assert num - 1 == story_of(CASE.verdict).num_following


def first_of(expected: tuple[int, ...], found: tuple[int, ...]) -> Difference:
    """Of a verdict about these two batches."""
    case = samples.fixed().cases[0]
    [report] = case.verdict.checks
    violation = msgspec.structs.replace(report.result.violations[0], expected=expected, found=found)
    result = msgspec.structs.replace(report.result, violations=(violation,))
    verdict = msgspec.structs.replace(case.verdict, checks=(msgspec.structs.replace(report, result=result),))
    first = story_of(verdict).first
    assert first is not None
    return first


def test_batches_of_different_lengths_leave_places_empty():
    """The shorter one has nothing there."""
    first = first_of((5, 6), (5,))
    assert [(cell.expected, cell.found, cell.is_equal) for cell in first.cells] == [(5, 5, True), (6, None, False)]


def test_of_long_batches_what_lies_around_the_first_difference_is_shown():
    """And how many places are not."""
    first = first_of(tuple(range(300)), (*range(100), *range(200, 500)))
    shown = [(cell.expected, cell.found) for cell in first.cells]
    assert (shown[0], shown[8], len(shown), first.num_hidden) == ((92, 92), (100, 200), MAX_CELLS, 400 - MAX_CELLS)


def test_nothing_is_told_of_a_case_that_is_valid():
    """There is no first difference."""
    verdict = samples.of(samples.valid()).cases[0].verdict
    assert (verdict.outcome, story_of(verdict).first, story_of(verdict).num_following) == (Outcome.VALID, None, 0)


def test_what_other_checks_found_is_no_beginning_where_the_one_that_decided_found_none():
    """Of a reference that proves nothing: all else may follow from that."""
    cause = msgspec.structs.replace(CASE.verdict.cause, check="reference")
    story = story_of(msgspec.structs.replace(CASE.verdict, cause=cause))
    num = sum(len(report.result.violations) for report in CASE.verdict.checks)
    assert (story.first, story.num_following) == (None, num)
