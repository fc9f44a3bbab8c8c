from __future__ import annotations

import io

import pytest
from rich.console import Console

from resumable.launch.explain.codes.verdicts import EvidenceDamaged
from resumable.launch.explain.outcome import Outcome
from resumable.launch.sweep.display import SweepDisplay, duration, status_line
from resumable.launch.sweep.marks import AGAIN, OUTCOMES, RUNNING
from tests.launch.sweep.sweeps import drawn, skipped, verdict


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.84, "0.8 s"), (42.4, "42 s"), (59.6, "1 min 0 s"), (125, "2 min 5 s"), (3780, "1 h 3 min")],
)
def test_a_duration_is_as_precise_as_it_matters(seconds: float, expected: str) -> None:
    """Tenths at first, minutes in the end."""
    assert expected == duration(seconds)


def test_the_line_says_how_many_how_fast_and_how_long_still() -> None:
    """The rate is that of this call: points of an earlier one took no time."""
    counts = {Outcome.VALID: 29, Outcome.INVALID: 1}
    line = status_line("points", counts, num_points=50, num_new=10, num_left=20, elapsed_s=5)
    assert line == "points: 30 of 50, 29 VALID, 1 INVALID; 2.00 a second; 10 s left"


def test_without_points_the_line_says_how_long_it_takes() -> None:
    """References come before the points are known."""
    line = status_line("uninterrupted runs", {}, num_points=0, num_new=0, num_left=0, elapsed_s=3)
    assert line == "uninterrupted runs: under way for 3.0 s"


def test_points_that_are_tried_again_have_no_rate() -> None:
    """They were done before the task began, and are not while they run."""
    line = status_line("points alone", {Outcome.VALID: 3}, num_points=5, num_new=-1, num_left=2, elapsed_s=4)
    assert line == "points alone: 3 of 5, 3 VALID"


def test_what_is_no_terminal_gets_lines_and_no_grid() -> None:
    """Nothing is redrawn in a log file."""
    output = io.StringIO()
    made = drawn(at="3")
    with SweepDisplay(Console(file=output, width=80), is_quiet=False) as display:
        display.begin("points", made.points)
        display.mark(made.points[0], OUTCOMES[Outcome.VALID])
        display.mark(made.points[1], RUNNING)
        display.tick()
        display.tick()
    [line] = output.getvalue().splitlines()
    assert line.startswith("points: 1 of 2, 1 VALID; ")
    assert line.endswith(f"; under way: {made.points[1].name}")


def test_a_line_is_printed_only_when_something_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often it is time for one: hours of the same line fill a log and say nothing."""
    monkeypatch.setattr("resumable.launch.sweep.display._LINE_S", 0.0)
    output = io.StringIO()
    made = drawn(at="3")
    with SweepDisplay(Console(file=output, width=80), is_quiet=False) as display:
        display.begin("points", made.points)
        for mark in (RUNNING, RUNNING, OUTCOMES[Outcome.VALID], OUTCOMES[Outcome.VALID]):
            display.mark(made.points[0], mark)
            display.tick()
    assert [line[:14] for line in output.getvalue().splitlines()] == ["points: 0 of 2", "points: 1 of 2"]


def test_a_terminal_gets_the_grid() -> None:
    """Redrawn in place."""
    output = io.StringIO()
    made = drawn(at="3")
    with SweepDisplay(Console(file=output, width=80, force_terminal=True), is_quiet=False) as display:
        display.begin("points", made.points)
        display.tick()
    assert "sigkill at step" in output.getvalue()


def test_only_what_is_tried_again_is_left() -> None:
    """Points without a verdict are not run any more when those that failed are."""
    made, output = drawn(at="3-7"), io.StringIO()
    with SweepDisplay(Console(file=output), is_quiet=False) as display:
        display.begin("points", made.points, {made.points[number].name: AGAIN for number in range(3)})
        for point in made.points[:3]:
            display.mark(point, OUTCOMES[Outcome.INVALID])
        display.tick()
    assert "points: 3 of 10, 3 INVALID; " in output.getvalue()
    assert output.getvalue().endswith("; 0.0 s left\n")


@pytest.mark.parametrize("is_terminal", [False, True])
def test_the_first_failure_of_every_cause_is_printed_at_once(is_terminal: bool) -> None:
    """Above the grid of a terminal; what a job wrote is harmless there."""
    output = io.StringIO()
    points = sorted(drawn(at="3-5", ranks="0").points, key=lambda point: point.name)
    problems = (skipped(1), skipped(2), EvidenceDamaged(path="\x07", what="[b]"))
    with SweepDisplay(Console(file=output, width=200, force_terminal=is_terminal), is_quiet=False) as display:
        display.begin("points", points)
        display.tick()
        for point, problem in zip(points, problems, strict=True):
            display.enter(point, verdict(Outcome.INVALID, problem))
    assert [f"sigkill@step=3:rank=0: {skipped(1)}", "sigkill@step=5:rank=0: \ufffd: [b]"] == [
        line.split("INVALID after ")[1] for line in output.getvalue().splitlines() if "INVALID after" in line
    ]


def test_a_judged_point_that_a_chain_passes_once_more_stays_done() -> None:
    """A chain that goes on from the life before passes the last point in front of it again."""
    output = io.StringIO()
    points = drawn(at="3").points
    with SweepDisplay(Console(file=output, width=200), is_quiet=False) as display:
        display.begin("points", points)
        display.enter(points[0], verdict(Outcome.VALID))
        for point in points:
            display.show_under_way([point.name])
        display.tick()
    assert output.getvalue().startswith("points: 1 of 2, 1 VALID; ")
    assert output.getvalue().endswith(f"; under way: {points[1].name}\n")


def test_quiet_is_silent() -> None:
    """Not a byte."""
    output = io.StringIO()
    points = drawn(at="3").points
    with SweepDisplay(Console(file=output, force_terminal=True), is_quiet=True) as display:
        display.begin("points", points)
        display.tick()
        display.enter(points[0], verdict(Outcome.INVALID, skipped(1)))
    assert output.getvalue() == ""
