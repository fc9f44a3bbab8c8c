from __future__ import annotations

import pytest

from resumable.launch.errors import UsageError
from resumable.launch.plan.fault_model import Who
from resumable.launch.plan.sweep_words import Moments, example_faults, parse_at, parse_kinds, parse_ranks


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3", ["step=3"]),
        ("3,7,12", ["step=3", "step=7", "step=12"]),
        ("10-12, 3", ["step=10", "step=11", "step=12", "step=3"]),
        ("save#1", ["save#1+after"]),
        ("save#1+during,2", ["save#1+during", "step=2"]),
        ("epoch=1,batch=3,batch=7", ["epoch=1,batch=3", "batch=7"]),
        ("resume+2,load#0", ["resume+2", "load#0"]),
        ("3,2-4", ["step=3", "step=2", "step=4"]),
    ],
)
def test_a_list_names_steps_ranges_and_moments(text: str, expected: list[str]) -> None:
    """A comma separates them, except between epoch and batch; a range includes both of its ends; twice is once."""
    assert expected == [str(when) for when in parse_at(text).listed]


@pytest.mark.parametrize(("text", "expected"), [("all", Moments(every=1)), ("every:4", Moments(every=4))])
def test_steps_that_recur_are_not_listed(text: str, expected: Moments) -> None:
    """How many there are is known only from the references."""
    assert expected == parse_at(text)


@pytest.mark.parametrize(
    "text", ["", "every:0", "every:", "7-3", "step7", "3,,x", "sigkill@step=3:rank=1", "-1", "9" * 20]
)
def test_what_is_no_moment_is_refused_with_the_words_that_are(text: str) -> None:
    """The message repeats what was given."""
    with pytest.raises(UsageError, match="expected all, every:N or a list") as caught:
        parse_at(text)
    assert f"--at {text}:" in str(caught.value)


@pytest.mark.parametrize("text", ["1-99999999999", "0-60000,3,70000-130000"])
def test_a_list_that_nobody_could_run_is_refused_before_it_is_made(text: str) -> None:
    """The message says how many there may be."""
    with pytest.raises(UsageError, match=f"--at {text}: lists more than 100000 moments"):
        parse_at(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("each", ((0,), (1,), (2,), (3,))),
        ("any", Who.ANY),
        ("all", Who.ALL),
        ("2", ((2,),)),
        ("3,0-1,1", ((0,), (1,), (3,))),
        ("2+0,1,0+2", ((1,), (0, 2))),
        ("each,1+3", ((0,), (1,), (2,), (3,), (1, 3))),
    ],
)
def test_ranks_are_each_any_all_or_listed(text: str, expected: Who | tuple[tuple[int, ...], ...]) -> None:
    """A list is sorted, and names each rank, or those that are hit together, once."""
    assert expected == parse_ranks(text, world_size=4)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("4", "ranks 0 to 3"),
        ("0+4", "ranks 0 to 3"),
        ("0-9999999999", "ranks 0 to 3"),
        ("9" * 20, "expected each"),
        ("some", "expected each"),
        ("3-1", "expected each"),
        ("0+", "expected each"),
    ],
)
def test_ranks_that_there_are_not_are_refused(text: str, reason: str) -> None:
    """The message repeats what was given, and says what there is."""
    with pytest.raises(UsageError, match=reason) as caught:
        parse_ranks(text, world_size=4)
    assert f"--ranks {text}:" in str(caught.value)


def test_ranks_that_no_folder_can_be_named_after_are_refused() -> None:
    """They are a part of the name of their point."""
    with pytest.raises(UsageError, match="joins more ranks than"):
        parse_ranks("+".join(map(str, range(80))), world_size=128)


def test_kinds_are_separated_by_the_commas_outside_their_arguments() -> None:
    """Each once, as it will stand before the `@`."""
    expected = ["sigkill", "exit(3)", "torn(keep=0.5)"]
    actual = [kind.word for kind in parse_kinds("sigkill, exit(3),torn(keep=0.5),sigkill")]
    assert expected == actual


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "expected kinds such as"),
        ("x", "unknown kind 'x'"),
        ("sigkill,exit", "exit takes CODE, from 0 to 255"),
        ("sigkill(3)", "takes no argument"),
    ],
)
def test_kinds_that_there_are_not_are_refused(text: str, reason: str) -> None:
    """In one line that names the flag."""
    with pytest.raises(UsageError) as caught:
        parse_kinds(text)
    said = str(caught.value)
    assert (said.startswith(f"--kinds {text}: "), reason in said, len(said.splitlines())) == (True, True, 1)


@pytest.mark.parametrize(("text", "nearest"), [("sigkil", "sigkill"), ("sigkill,torm(keep=0.5)", "torn")])
def test_a_mistyped_kind_gets_the_nearest(text: str, nearest: str) -> None:
    """In a line of its own."""
    with pytest.raises(UsageError, match=f"\ndid you mean: {nearest}$"):
        parse_kinds(text)


def test_a_kind_that_cannot_happen_then_is_refused() -> None:
    """The message names both flags."""
    with pytest.raises(UsageError, match="--kinds diskfull, --at step=0: diskfull happens during a save"):
        example_faults(parse_at("all"), parse_kinds("diskfull"))
