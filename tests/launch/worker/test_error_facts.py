"""What is recorded of an exception, however it was wrapped on its way."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import pytest
from torch.distributed.checkpoint.api import CheckpointException

from resumable.launch.evidence.rank_records import Error
from resumable.launch.plan.fault_grammar import parse_fault
from resumable.launch.plan.fault_model import PlannedFault, resolve
from resumable.launch.worker.error_facts import error_facts, message_of
from resumable.launch.worker.faults.effects import perform


def fault(text: str) -> PlannedFault:
    return resolve([parse_fault(text)], world_size=2, seed=0)[0]


def raised(function: Callable[[], object]) -> BaseException:
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - whatever it is
        function()
    return caught.value


def planned(kind: str) -> BaseException:
    return raised(lambda: perform(fault(f"{kind}@step=3:rank=0")))


def chained() -> None:
    raise RuntimeError("the save failed") from planned("exception")


def while_handling() -> None:
    try:
        perform(fault("exception@step=3:rank=0"))
    except Exception:
        raise KeyError("a") from None


def test_an_error_of_the_script_has_its_type_and_its_module() -> None:
    """And no fault."""
    expected = Error(type="builtins.ValueError", module=__name__)
    assert expected == error_facts(raised(lambda: [].remove(1)))


def test_the_module_is_that_of_the_deepest_frame() -> None:
    """Where an exception was raised, not where it came through."""
    assert error_facts(raised(lambda: pickle.loads(pickle.dumps(object)[:3]))).module == __name__
    assert error_facts(raised(lambda: parse_fault("nonsense"))).module == "resumable.launch.plan.fault_grammar"


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(planned("exception"), id="itself"),
        pytest.param(planned("exit(3)"), id="an exit"),
        pytest.param(raised(chained), id="as the cause of another"),
        pytest.param(raised(while_handling), id="as the context of another"),
        pytest.param(ExceptionGroup("several", [KeyError("a"), planned("exception")]), id="in a group"),  # type: ignore[list-item]
        pytest.param(pickle.loads(pickle.dumps(planned("exception"))), id="from another process"),
        pytest.param(pickle.loads(pickle.dumps(planned("exit(3)"))), id="an exit of another process"),
        pytest.param(
            CheckpointException("failed", {1: (planned("exception"), None)}),  # type: ignore[dict-item]
            id="of another rank, as torch reports it",
        ),
    ],
)
def test_a_planned_fault_is_recognised_however_it_arrives(error: BaseException) -> None:
    """By a mark that it carries, not by what its message reads like."""
    assert error_facts(error).faults == (0,)


def test_a_message_makes_no_fault() -> None:
    """A script may print what it likes."""
    assert error_facts(RuntimeError("planned fault: exception@step=3:rank=0, SystemExit")).faults == ()


def test_an_endless_chain_ends() -> None:
    """Exceptions may refer to each other."""
    one, other = RuntimeError(), RuntimeError()
    one.__cause__, other.__cause__ = other, one
    assert error_facts(one).faults == ()


class MuteError(Exception):
    def __str__(self) -> str:
        raise ValueError


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (KeyError("a"), "KeyError: 'a'"),
        (ValueError(), "ValueError: "),
        (MuteError(), "MuteError: (no message: its __str__ raised ValueError)"),
        (ValueError("\udcff"), "ValueError: \udcff"),
    ],
    ids=["plain", "empty", "cannot be said", "no text"],
)
def test_whatever_an_exception_says_is_recorded(error: BaseException, message: str) -> None:
    """And one that cannot say anything ends no record."""
    assert message_of(error) == message


def test_a_message_is_recorded_as_far_as_anybody_reads() -> None:
    """It may hold a whole tensor."""
    message = message_of(ValueError("x" * 100_000_000))
    assert (len(message) < 5000, message.endswith("(100000000 characters)")) == (True, True)
