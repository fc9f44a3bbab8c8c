from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resumable.launch.errors import FaultSyntaxError
from resumable.launch.plan.fault_grammar import parse_fault, parse_when
from resumable.launch.plan.fault_kinds import NODE_KINDS, SAVE_ERRORS, FaultKind
from resumable.launch.plan.fault_model import Part, PlannedFault, Point, When, resolve

NUMBERS = st.integers(0, 10**9)
WHENS = st.one_of(
    st.builds(When, st.sampled_from([Point.BATCH, Point.STEP, Point.RESUME, Point.LOAD]), st.tuples(NUMBERS)),
    st.builds(When, st.just(Point.EPOCH_BATCH), st.tuples(NUMBERS, NUMBERS)),
    st.builds(When, st.just(Point.SAVE), st.tuples(NUMBERS), st.just(Part.AFTER)),
)
SAVES = st.builds(When, st.just(Point.SAVE), st.tuples(NUMBERS), st.just(Part.DURING))


@st.composite
def faults(draw: st.DrawFn) -> PlannedFault:
    """Any fault that the grammar has a text for."""
    kind = draw(st.sampled_from(FaultKind))
    expected = kind.facts.argument
    values = st.integers(0, 255).map(float) if expected else st.none()
    is_node = kind in NODE_KINDS and draw(st.booleans())
    number = draw(NUMBERS)
    return PlannedFault(
        number=0,
        kind=kind,
        when=draw(SAVES if kind in SAVE_ERRORS else WHENS),
        rank=None if is_node else number,
        node=number if is_node else None,
        argument=draw(values),
    )


@given(fault=faults())
def test_a_fault_reads_as_it_prints(fault: PlannedFault) -> None:
    """Parsing the text of a fault gives the fault."""
    assert resolve([parse_fault(str(fault))], world_size=1, seed=0) == (fault,)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "expected kind@when:who"),
        ("sigkill", "expected kind@when:who"),
        ("sigkil@step=7:rank=1", "unknown kind 'sigkil'"),
        ("sigkill@step=-1:rank=1", "cannot read when='step=-1'"),
        ("sigkill@stp=1:rank=1", "cannot read when='stp=1'"),
        ("sigkill@save#1+meanwhile:rank=1", "cannot read when='save#1+meanwhile'"),
        ("sigkill@step=7:rank=some", "cannot read who='rank=some'"),
        ("sigkill@step=7:node=1", "done to a rank"),
        ("sigkill(3)@step=7:rank=1", "takes no argument"),
        ("exit@step=7:rank=1", "from 0 to 255"),
        ("exit(256)@step=7:rank=1", "from 0 to 255"),
        ("exit(1.5)@step=7:rank=1", "from 0 to 255"),
        ("exit(x)@step=7:rank=1", "from 0 to 255"),
        ("exit(grace=3)@step=7:rank=1", "takes CODE"),
        ("sigterm(keep=3)@step=7:rank=1", "takes grace=SECONDS"),
        ("partition@step=7:node=1", "takes for=SECONDS"),
        ("diskfull@step=7:rank=0", "happens during a save"),
        ("ioerror@save#1+after:rank=0", "happens during a save"),
        (f"sigkill@step={'9' * 5000}:rank=1", "cannot read when="),
        (f"sigkill@step=7:rank={'9' * 20}", "cannot read who="),
        ("torn@save#1+during:rank=0", "needs a checkpoint that has been written"),
    ],
)
def test_an_unparsable_fault_names_the_part_and_where_the_grammar_stands(text: str, part: str) -> None:
    """The message says what could not be read, what can be written instead, and where all forms are."""
    with pytest.raises(FaultSyntaxError) as caught:
        parse_fault(text)
    assert part in str(caught.value)
    first, second, third = str(caught.value).splitlines()
    assert (f"--fault {text}: " in first, "resumable verify --help-all" in third) == (True, True)
    parse_fault(second.removeprefix("did you mean: "))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("sigkil@step=3:rank=0", "sigkill@step=3:rank=0"),
        ("sigkill@stp=3:rank=0", "sigkill@step=3:rank=0"),
        ("torn(keep=0.2)@save2:rank=any", "torn(keep=0.2)@save#2:rank=any"),
        ("sigkill@epoch=1batch=3:rank=all", "sigkill@epoch=1,batch=3:rank=all"),
        ("sigkill@step=3", "sigkill@step=3:rank=any"),
        ("nodeloss(replace=2)@step=7:nod=1", "nodeloss(replace=2)@step=7:node=1"),
        ("sigkill", "sigkill@step=7:rank=any"),
        ("step=3", "sigkill@step=3:rank=any"),
        ("epoch=1,batch=2:rank=0", "sigkill@epoch=1,batch=2:rank=0"),
        ("", "sigkill@step=7:rank=any"),
    ],
)
def test_the_message_keeps_what_can_be_read_and_mends_the_rest(text: str, meant: str) -> None:
    """A slip of the pen is answered with what was probably meant, numbers included."""
    with pytest.raises(FaultSyntaxError, match=f"\ndid you mean: {re.escape(meant)}\n"):
        parse_fault(text)


@pytest.mark.parametrize(
    ("text", "argument"),
    [
        ("sigterm@step=1:rank=0", 30),
        ("sigterm(grace=2)@step=1:rank=0", 2),
        ("sigterm(0.5s)@step=1:rank=0", 0.5),
        ("exit(code=3)@step=1:rank=0", 3),
        ("torn@step=1:rank=0", 0.5),
        ("nodeloss@step=1:node=0", None),
        ("nodeloss(replace=2s)@step=1:node=0", 2),
    ],
)
def test_an_argument_may_be_named_have_a_unit_or_be_left_out(text: str, argument: float | None) -> None:
    """Every kind takes at most one argument, so its name adds nothing but clarity."""
    assert parse_fault(text).argument == argument


def test_a_bare_save_is_its_end_but_for_errors_of_the_save() -> None:
    """A checkpoint in place is the natural moment for a kill; a disk fills up before that."""
    assert parse_fault("sigkill@save#2:rank=0").when.part is Part.AFTER
    assert parse_fault("diskfull@save#2:rank=0").when.part is Part.DURING


def test_what_is_no_moment_is_none() -> None:
    """Lists of moments have their own messages."""
    assert parse_when("save#x") is None
