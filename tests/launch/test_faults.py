from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launch.errors import FaultSyntaxError
from launch.faults import Fault, Kind, Point, When, num_restarts, parse_fault, resolve

KINDS = st.one_of(
    st.just((Kind.SIGKILL, 1)), st.just((Kind.EXCEPTION, 1)), st.tuples(st.just(Kind.EXIT), st.integers(0, 255))
)
NUMBERS = st.integers(0, 10**9)
WHENS = st.one_of(
    st.builds(When, st.sampled_from([Point.BATCH, Point.STEP, Point.RESUME]), st.tuples(NUMBERS)),
    st.builds(When, st.just(Point.EPOCH_BATCH), st.tuples(NUMBERS, NUMBERS)),
)


@given(kind=KINDS, when=WHENS, rank=NUMBERS)
def test_a_fault_reads_as_it_prints(kind: tuple[Kind, int], when: When, rank: int) -> None:
    """Parsing the text of a fault gives the fault."""
    fault = Fault(number=0, kind=kind[0], exit_code=kind[1], when=when, rank=rank)
    assert resolve([parse_fault(str(fault))], world_size=1, seed=0) == (fault,)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "expected kind@when:who"),
        ("sigkill", "expected kind@when:who"),
        ("sigkil@step=7:rank=1", "unknown kind 'sigkil'"),
        ("sigkill@step=-1:rank=1", "cannot read when='step=-1'"),
        ("sigkill@stp=1:rank=1", "cannot read when='stp=1'"),
        ("sigkill@step=7:rank=some", "cannot read who='rank=some'"),
        ("sigkill(3)@step=7:rank=1", "takes no argument"),
        ("exit@step=7:rank=1", "a code from 0 to 255"),
        ("exit(256)@step=7:rank=1", "a code from 0 to 255"),
        ("exit(x)@step=7:rank=1", "a code from 0 to 255"),
    ],
)
def test_an_unparsable_fault_names_the_part_and_the_grammar(text: str, part: str) -> None:
    """The message says what could not be read and shows the grammar."""
    with pytest.raises(FaultSyntaxError) as caught:
        parse_fault(text)
    assert part in str(caught.value)
    assert "kind@when:who" in str(caught.value)


def test_the_message_shows_the_nearest_right_form() -> None:
    """A slip of the pen is answered with what was probably meant."""
    with pytest.raises(FaultSyntaxError, match=r"nearest right form: sigkill@step=7:rank=1"):
        parse_fault("sigkil@step=7:rank=1")


def test_all_ranks_become_one_fault_each_and_cost_one_restart() -> None:
    """`rank=all` stands for every rank; they fire together."""
    faults = resolve([parse_fault("sigkill@step=7:rank=all")], world_size=3, seed=0)
    assert [(fault.number, fault.rank) for fault in faults] == [(0, 0), (1, 1), (2, 2)]
    assert num_restarts(faults) == 1


def test_a_drawn_rank_depends_on_the_seed_alone() -> None:
    """`rank=any` gives the same rank for the same seed, and every rank for some seed."""
    request = parse_fault("sigkill@step=7:rank=any")
    drawn = [resolve([request], world_size=4, seed=seed)[0].rank for seed in range(40)]
    assert drawn == [resolve([request], world_size=4, seed=seed)[0].rank for seed in range(40)]
    assert set(drawn) == {0, 1, 2, 3}
