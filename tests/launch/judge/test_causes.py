import msgspec
import pytest

from resumable.launch.explain.codes.batch_problems import BatchDiffers, SamplesMiscounted
from resumable.launch.explain.codes.ends import DiedUnplanned
from resumable.launch.explain.codes.faults import NoFaultPlanned
from resumable.launch.explain.codes.place_reasons import BatchesReplayed, BatchesSkipped
from resumable.launch.explain.codes.state_problems import StateDiffers
from resumable.launch.explain.codes.statement import Problem, Reason
from resumable.launch.explain.outcome import Outcome
from resumable.launch.judge.causes import causes_of
from resumable.launch.judge.results import Results
from resumable.launch.judge.verdict import Cause, Confirmation
from tests.launch.report import samples


def sweep(*causes: tuple[Outcome, Problem], reasons: tuple[Reason | None, ...] = (), **changes: object) -> Results:
    """A sweep whose cases failed for this."""
    results = samples.sweep(num_steps=1, num_ranks=1)
    [case] = results.cases
    cases = []
    for number, (outcome, problem) in enumerate(causes):
        cause = Cause(check="state", problem=problem, reason=reasons[number] if reasons else None)
        changed = {"outcome": outcome, "reason": str(cause), "cause": cause, **changes}
        cases.append(msgspec.structs.replace(case, verdict=msgspec.structs.replace(case.verdict, **changed)))
    return msgspec.structs.replace(results, cases=tuple(cases))


def skipped(num: int, *, is_read_ahead: bool = False) -> Reason:
    cause = "read ahead" if is_read_ahead else "unknown"
    return BatchesSkipped(epoch=0, num=num, num_done=4, batch=4 + num, cause=cause)


REPLAYED = BatchesReplayed(num=1, batch=3, num_done=4, is_in_samples=False)


@pytest.mark.parametrize(
    ("one", "other", "num_causes"),
    [
        (skipped(1), skipped(12), 1),
        (skipped(1), REPLAYED, 2),
        (skipped(1), skipped(1, is_read_ahead=True), 2),
        (skipped(1), None, 2),
    ],
)
def test_cases_that_differ_in_where_and_how_often_have_one_cause(one, other, num_causes):
    """What is to be fixed makes the difference."""
    problems = [BatchDiffers(rank=1, epoch=0, batch=7), BatchDiffers(rank=0, epoch=2, batch=3)]
    results = sweep(*((Outcome.INVALID, problem) for problem in problems), reasons=(one, other))
    assert num_causes == len(causes_of(results))


def died(message: str, error: str = "builtins.KeyError") -> Problem:
    return DiedUnplanned(rank=1, incarnation=1, num_steps=4, error=error, exit_code=1, message=message)


@pytest.mark.parametrize(
    ("one", "other", "num_causes"),
    [
        (died("KeyError: 'a'"), died("KeyError: 'b'"), 1),
        (died("KeyError: 'a'"), died("ValueError: 'a'", "builtins.ValueError"), 2),
        (StateDiffers(rank=0, step=4, what="loss"), StateDiffers(rank=1, step=5, what="loss"), 1),
        (StateDiffers(rank=0, step=4, what="loss"), StateDiffers(rank=0, step=4, what="buffers"), 2),
        (
            SamplesMiscounted(epoch=0, unit="sample", num_lost=2),
            SamplesMiscounted(epoch=3, unit="sample", num_lost=9),
            1,
        ),
        (SamplesMiscounted(epoch=0, unit="sample", num_lost=2), SamplesMiscounted(unit="sample", num_duplicated=2), 2),
    ],
)
def test_parameters_that_tell_causes_apart_do_so(one, other, num_causes):
    """Never a number in a sentence."""
    assert num_causes == len(causes_of(sweep((Outcome.INVALID, one), (Outcome.INVALID, other))))


@pytest.mark.parametrize(("confirmation", "num_causes"), [("both", 1), ("none", 1), ("only warm", 2)])
def test_what_plain_processes_confirm_has_the_same_cause(confirmation: Confirmation, num_causes: int) -> None:
    """What they contradict is a matter of its own."""
    problem = BatchDiffers(rank=1, epoch=0, batch=7)
    plain, confirmed = sweep((Outcome.UNKNOWN, problem)), sweep((Outcome.UNKNOWN, problem), confirmation=confirmation)
    both = msgspec.structs.replace(plain, cases=(*plain.cases, *confirmed.cases))
    assert num_causes == len(causes_of(both))


def test_invalid_comes_first_then_the_most_cases():
    """The order in which a person should look."""
    rare, frequent = BatchDiffers(rank=1, epoch=0, batch=7), StateDiffers(rank=0, step=4, what="loss")
    results = sweep(
        *[(Outcome.UNKNOWN, NoFaultPlanned())] * 3,
        (Outcome.INVALID, rare),
        *[(Outcome.INVALID, frequent)] * 2,
        (Outcome.VALID, rare),
    )
    assert [cause.reason.removeprefix("state: ") for cause in causes_of(results)] == [
        str(frequent),
        str(rare),
        str(NoFaultPlanned()),
    ]


def test_what_is_unknown_is_never_put_to_what_is_invalid():
    """Even if both have the same code."""
    problem = BatchDiffers(rank=1, epoch=0, batch=7)
    assert len(causes_of(sweep((Outcome.INVALID, problem), (Outcome.UNKNOWN, problem)))) == 2
