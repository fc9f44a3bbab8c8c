"""The scoreboard: what is stored, how it is shown, and that a cell is what its stack really does."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from resumable.launch.cli.options import job_options
from resumable.launch.cli.parser import parse
from resumable.launch.explain.outcome import Outcome
from resumable.launch.plan.planner import make_plan
from tests.import_graph import ROOT
from tests.peers.__main__ import PAGE, README, STORED
from tests.peers.catalogue import SCRIPTS, STACKS, Stack
from tests.peers.cells import CELLS
from tests.peers.measurement import measured
from tests.peers.scoreboard import Result, Scoreboard, html, markdown, read, table, with_table, write

STORED_NOW = read(STORED)
PINS = dict(re.findall(r"^([\w-]+)==(.+)$", (STORED.parent / "requirements.txt").read_text(), re.MULTILINE))


def result(stack: str = STACKS[0].name, cell: str = CELLS[0].name, **more: object) -> Result:
    known = {
        "outcome": Outcome.VALID,
        "confirmation": "none",
        "reason": "",
        "repeat": "resumable verify",
        "versions": {},
    }
    return Result(stack=stack, cell=cell, **(known | more))


def named(name: str) -> Stack:
    [stack] = [stack for stack in STACKS if stack.name == name]
    return stack


def test_the_page_is_what_the_stored_results_make() -> None:
    """Nobody edits a figure by hand."""
    assert markdown(STORED_NOW) == PAGE.read_text(encoding="utf-8")


def test_the_readme_has_the_table() -> None:
    """As it was measured, between its marks."""
    text = README.read_text(encoding="utf-8")
    assert (text, True) == (with_table(text, STORED_NOW), table(STORED_NOW) in text)


def test_every_red_cell_has_a_cause_and_a_command() -> None:
    """Whoever maintains the stack can repeat it, and knows what is meant."""
    causes = {stack.name: stack for stack in STACKS}
    without = [one for one in STORED_NOW.red if not causes[one.stack].cause(one.cell) or "verify" not in one.repeat]
    assert [(one.stack, one.cell) for one in without] == []


def test_every_command_can_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this project's folder, as it stands there."""
    monkeypatch.chdir(ROOT)
    commands = sorted({one.repeat for one in STORED_NOW.results})
    plans = [make_plan(job_options(parse(shlex.split(command)[1:]))) for command in commands]
    assert [str(SCRIPTS)] * len(commands) == [str(Path(plan.script.path).parent) for plan in plans]


def test_what_is_stored_was_measured_with_the_pinned_versions() -> None:
    """A new pin is a new measurement."""
    assert PINS.items() >= {item for item in STORED_NOW.versions.items() if item[0] not in ("torch", "resumable")}


@pytest.mark.parametrize("stack", STACKS, ids=lambda stack: stack.slug)
def test_a_row_has_a_script(stack: Stack) -> None:
    """Which takes what its row gives it."""
    source = (SCRIPTS / stack.script).read_text()
    assert (f'"{stack.way}"' in source or not stack.way, "options(" in source) == (True, True)


def test_a_cell_that_plain_processes_do_not_confirm_accuses_nobody() -> None:
    """What was seen on a warm node alone may be the node's own."""
    invalid = {"outcome": Outcome.INVALID, "reason": "r"}
    results = [result(**invalid, confirmation=word) for word in ("both", "only plain", "only warm", "none")]
    assert [one.is_red for one in results] == [True, True, False, False]


def test_a_cell_that_is_measured_again_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    """Rows and columns stay in their order; what there is no more goes."""
    old = Scoreboard(results=(result(cell=CELLS[1].name), result(cell="abolished"), result(date="1999-12-31")))
    new = old.with_result(result(date="2026-01-01"))
    write(new, tmp_path / "scoreboard.json")
    assert [(CELLS[0].name, "2026-01-01"), (CELLS[1].name, "")] == [
        (one.cell, one.date) for one in read(tmp_path / "scoreboard.json").results
    ]


def test_the_table_has_a_mark_for_each_outcome() -> None:
    """And nothing where nothing was measured."""
    outcomes = {"outcome": Outcome.INVALID, "confirmation": "both"}, {"outcome": Outcome.UNKNOWN}, {}
    results = (result(cell=cell.name, **more) for cell, more in zip(CELLS, outcomes, strict=False))
    [row] = [line for line in table(Scoreboard(results=tuple(results))).splitlines() if line.startswith("| resumable")]
    assert [cell.strip() for cell in row.split("|")[2:6]] == ["✗", "?", "✓", ""]


def test_what_a_job_said_is_no_markup() -> None:
    """A reason may hold text of a script."""
    red = {"outcome": Outcome.INVALID, "confirmation": "both", "reason": "<b>|`x`"}
    scoreboard = Scoreboard(results=(result(**red),))
    assert ("<b>|" in markdown(scoreboard).split("## ")[1], "<b>|" in html(scoreboard)) == (False, False)


@pytest.mark.integration
@pytest.mark.timeout(600)
def test_a_cell_shows_what_its_stack_does(tmp_path: Path) -> None:
    """An epoch that begins again is refuted, on plain processes too; the command that repeats it names the script."""
    [found] = measured(named("DDP, epoch"), CELLS[:1], tmp_path)
    assert (True, "restarted epoch 0" in found.reason) == (found.is_red, True), found
    assert "tests/peers/stacks/ddp_steps.py epoch" in found.repeat
    assert str(ROOT) not in found.repeat + found.reason


@pytest.mark.integration
@pytest.mark.timeout(600)
def test_our_own_row_is_measured_as_the_others_are(tmp_path: Path) -> None:
    """Green, with augmentation in loader workers."""
    [found] = measured(named("resumable"), CELLS[-1:], tmp_path)
    assert (found.outcome, found.reason) == (Outcome.VALID, "")
