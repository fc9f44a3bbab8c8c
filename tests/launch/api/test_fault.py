from __future__ import annotations

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


@pytest.mark.parametrize("where", [{"rank": 1}, {"step": 7}, {"rank": 1, "step": 7, "save": 1}], ids=str)
def test_who_and_exactly_one_moment_are_needed(where: dict[str, int]) -> None:
    """The grammar's own message says what is missing."""
    with pytest.raises(FaultSyntaxError):
        Fault.sigkill(**where)
