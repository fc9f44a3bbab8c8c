import msgspec
import pytest

from resumable.launch.judge.causes import HOLDS_COLD, causes_of
from resumable.launch.judge.results import Results
from resumable.launch.outcome import Outcome
from tests.launch.report import samples


def told(*reasons: tuple[Outcome, str]) -> Results:
    """A sweep whose cases say this."""
    results = samples.sweep(num_steps=1, num_ranks=1)
    [case] = results.cases
    cases = tuple(
        msgspec.structs.replace(case, verdict=msgspec.structs.replace(case.verdict, outcome=outcome, reason=reason))
        for outcome, reason in reasons
    )
    return msgspec.structs.replace(results, cases=cases)


@pytest.mark.parametrize(
    ("one", "other", "num_causes"),
    [
        ("rank 1 skipped 1 batch", "rank 0 skipped 12 batches", 1),
        ("rank 1 skipped 1 batch", "rank 1 replayed 1 batch", 2),
        ("rank 1 skipped 1 batch", f"rank 1 skipped 3 batches{HOLDS_COLD}", 1),
    ],
)
def test_reasons_that_differ_in_numbers_are_one_cause(one, other, num_causes):
    """Words make the difference."""
    assert num_causes == len(causes_of(told((Outcome.INVALID, one), (Outcome.INVALID, other))))


def test_invalid_comes_first_then_the_most_cases():
    """The order in which a person should look."""
    reasons = [
        (Outcome.UNKNOWN, "a"),
        (Outcome.UNKNOWN, "a"),
        (Outcome.UNKNOWN, "a"),
        (Outcome.INVALID, "b"),
        (Outcome.INVALID, "c"),
        (Outcome.INVALID, "c"),
        (Outcome.VALID, ""),
    ]
    assert [cause.reason for cause in causes_of(told(*reasons))] == ["c", "b", "a"]


def test_what_is_unknown_is_never_put_to_what_is_invalid():
    """Even if both say the same."""
    assert len(causes_of(told((Outcome.INVALID, "a"), (Outcome.UNKNOWN, "a")))) == 2
