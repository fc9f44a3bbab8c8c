"""What a verdict is worth to a caller."""

import subprocess
import sys

import pytest

from resumable.launch.explain.outcome import Outcome, exit_code, worst
from resumable.launch.judge.verdict import Verdict


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([Outcome.VALID, Outcome.VALID], Outcome.VALID),
        ([Outcome.VALID, Outcome.UNKNOWN], Outcome.UNKNOWN),
        ([Outcome.VALID, Outcome.UNKNOWN, Outcome.INVALID], Outcome.INVALID),
        ([], Outcome.UNKNOWN),
    ],
)
def test_the_worst_case_decides(outcomes: list[Outcome], expected: Outcome) -> None:
    """INVALID beats UNKNOWN beats VALID, and nothing proves nothing."""
    assert expected == worst(outcomes)


def verdict(outcome: Outcome) -> Verdict:
    return Verdict(outcome=outcome, reason="", scenario="faulted", incarnations=(), fired_faults=(), checks=())


@pytest.mark.parametrize(
    ("outcome", "expected"), [(Outcome.VALID, True), (Outcome.INVALID, False), (Outcome.UNKNOWN, False)]
)
def test_only_valid_is_true(outcome: Outcome, expected: bool) -> None:
    """`assert rig.verify(...)` must not pass on anything else."""
    assert expected is bool(verdict(outcome))


@pytest.mark.parametrize(("outcome", "expected"), [(Outcome.VALID, 0), (Outcome.INVALID, 1), (Outcome.UNKNOWN, 3)])
def test_each_outcome_has_its_exit_code(outcome: Outcome, expected: int) -> None:
    """Promised in the README."""
    assert expected == exit_code(outcome)


def test_exit_codes_cost_no_imports() -> None:
    """The command line needs them before it knows what it is asked for."""
    program = "import sys, resumable.launch.explain.outcome; print('msgspec' in sys.modules, 'torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout == "False False\n"
