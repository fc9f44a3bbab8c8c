from __future__ import annotations

from pathlib import Path

import pytest

from resumable.launch import Fault
from resumable.launch.plan.fault_grammar import GRAMMAR, parse_fault
from resumable.launch.plan.fault_kinds import FaultKind

PAGE = (Path(__file__).parents[3] / "launch/cli/README.md").read_text()


def words(text: str) -> str:
    """The text as one line, however it is wrapped."""
    return " ".join(text.split())


@pytest.mark.parametrize("kind", FaultKind)
def test_the_example_of_a_kind_is_a_fault_of_it(kind: FaultKind) -> None:
    """What the help shows can be copied."""
    actual = parse_fault(kind.facts.example).kind
    assert kind is actual


@pytest.mark.parametrize("kind", FaultKind)
def test_the_help_of_the_command_explains_every_kind(kind: FaultKind) -> None:
    """Its usage, and what happens."""
    assert words(f"{kind.usage} {kind.facts.help}") in words(GRAMMAR)


def test_the_table_of_the_page_is_the_table_of_kinds() -> None:
    """One row a kind, in the same order and in the same words."""
    expected = [f"| `{kind.usage}` | {kind.facts.help} |" for kind in FaultKind]
    header = "| kind | what happens |\n|---|---|\n"
    actual = PAGE.partition(header)[2].partition("\n\n")[0].splitlines()
    assert expected == actual


@pytest.mark.parametrize("kind", FaultKind)
def test_every_kind_has_a_constructor_that_explains_itself(kind: FaultKind) -> None:
    """`help(Fault.torn)` says what happens, and `dir(Fault)` names it."""
    constructor = getattr(Fault, kind)
    assert kind in dir(Fault)
    assert f"{kind.usage}: {kind.facts.help}." in str(constructor.__doc__)


def test_what_is_no_kind_is_no_constructor() -> None:
    """The message lists the kinds."""
    with pytest.raises(AttributeError, match=r"'sigkil'; kinds of faults: sigkill, sigterm"):
        _ = Fault.sigkil


def test_an_argument_is_printed_as_it_is_written() -> None:
    """With its name, but for an exit code; a whole number without a fraction."""
    expected = ["sigkill", "exit(3)", "torn(keep=0.5)", "partition(for=2)"]
    calls = [(FaultKind.SIGKILL, None), (FaultKind.EXIT, 3.0), (FaultKind.TORN, 0.5), (FaultKind.PARTITION, 2.0)]
    actual = [kind.call(value) for kind, value in calls]
    assert expected == actual
