from __future__ import annotations

from typing import Any

import pytest

from resumable.launch import Fault
from resumable.launch.errors import FaultSyntaxError


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (Fault.sigkill(rank=1, step=37), "sigkill@step=37:rank=1"),
        (Fault.sigint(rank="any", batch=3), "sigint@batch=3:rank=any"),
        (Fault.exception(rank="all", epoch=1, batch=2), "exception@epoch=1,batch=2:rank=all"),
        (Fault.abort(rank=0, resume=2), "abort@resume+2:rank=0"),
        (Fault.hang(rank=0, load=0), "hang@load#0:rank=0"),
        (Fault.sigstop(rank=0, save=1), "sigstop@save#1:rank=0"),
        (Fault.loaderkill(rank=0, step=1), "loaderkill@step=1:rank=0"),
        (Fault.corrupt(rank=0, save="1+after"), "corrupt@save#1+after:rank=0"),
        (Fault.diskfull(rank=0, save=1), "diskfull@save#1:rank=0"),
        (Fault.ioerror(rank=0, save=1), "ioerror@save#1:rank=0"),
        (Fault.exit(3, rank=0, step=1), "exit(3)@step=1:rank=0"),
        (Fault.sigterm(2.5, rank=0, step=1), "sigterm(grace=2.5)@step=1:rank=0"),
        (Fault.torn(100, rank=0, step=1), "torn(keep=100)@step=1:rank=0"),
        (Fault.preempt(5, node=0, step=1), "preempt(grace=5)@step=1:node=0"),
        (Fault.nodeloss(node=1, step=1), "nodeloss@step=1:node=1"),
        (Fault.nodeloss(2, rank=1, step=1), "nodeloss(replace=2)@step=1:rank=1"),
        (Fault.partition(4, node=1, step=1), "partition(for=4)@step=1:node=1"),
    ],
    ids=str,
)
def test_python_says_what_the_command_line_says(fault: Fault, text: str) -> None:
    """A constructor and the text that it stands for give the same fault."""
    assert fault == Fault.parse(text)


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (Fault.exit(code=3, rank=0, step=1), "exit(3)@step=1:rank=0"),
        (Fault.sigterm(rank=0, step=1), "sigterm@step=1:rank=0"),
        (Fault.torn(keep=0.25, rank=0, save="1"), "torn(keep=0.25)@save#1:rank=0"),
        (Fault.nodeloss(replace=2, node="all", step=1), "nodeloss(replace=2)@step=1:node=all"),
        (Fault.partition(duration=4, node=1, step=1), "partition(for=4)@step=1:node=1"),
        (Fault.diskfull(rank=0, save="1+during"), "diskfull@save#1+during:rank=0"),
    ],
    ids=str,
)
def test_an_argument_may_be_named_or_left_out(fault: Fault, text: str) -> None:
    """As on the command line, which has the same defaults."""
    expected = Fault.parse(text)
    assert expected == fault


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ({"rank": 1}, "expected exactly one moment: .*; got none"),
        ({"step": 7}, "expected rank= or node=, got rank=None, node=None"),
        ({"rank": 1, "node": 1, "step": 7}, "expected rank= or node=, got rank=1, node=1"),
        ({"rank": 1, "step": 7, "save": 1}, "expected exactly one moment: .*; got step=7, save=1"),
        ({"rank": 1, "epoch": 7}, "expected exactly one moment: .*; got epoch=7"),
        ({"rank": 1, "stp": 7}, "expected exactly one moment: .*; got stp=7"),
        ({"rank": -1, "step": 7}, "rank=-1: expected a number from 0"),
        ({"rank": "some", "step": 7}, "rank='some': expected a number from 0"),
        ({"rank": 1, "step": 7.5}, "step=7.5: expected a number from 0"),
        ({"rank": 1, "save": "1+meanwhile"}, r"save='1\+meanwhile': expected a number, or text such as '1\+during'"),
        ({"node": 1, "step": 7}, "sigkill is done to a rank, not to a node"),
        ({"rank": 1, "step": 7, "grace": 3}, "expected exactly one moment: .*; got step=7, grace=3"),
    ],
    ids=str,
)
def test_what_makes_no_fault_is_named(where: dict[str, Any], words: str) -> None:
    """Who, exactly one moment, and nothing that the kind does not take."""
    with pytest.raises(FaultSyntaxError, match=f"^Fault.sigkill: {words}$"):
        Fault.sigkill(**where)


def test_an_impossible_moment_is_refused() -> None:
    """By the same rule as on the command line."""
    with pytest.raises(FaultSyntaxError, match=r"^Fault.torn: torn needs a checkpoint that has been written"):
        Fault.torn(rank=0, save="1+before")


def test_an_impossible_argument_is_refused() -> None:
    """By the same rule as on the command line."""
    with pytest.raises(FaultSyntaxError, match=r"^Fault.exit: exit takes CODE, from 0 to 255; got 300$"):
        Fault.exit(300, rank=0, step=1)
