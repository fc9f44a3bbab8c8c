from __future__ import annotations

import io

import msgspec
from rich.console import Console

from resumable.launch.explain.codes.faults import NoFaultPlanned
from resumable.launch.explain.codes.statement import Problem
from resumable.launch.explain.codes.verdicts import NothingTrained
from resumable.launch.explain.outcome import Outcome
from resumable.launch.judge.verdict import Verdict
from resumable.launch.plan.plan import Plan
from resumable.launch.sweep.summary import last_line, render_sweep, sweep_results, sweep_verdict
from tests.launch.sweep.sweeps import drawn, plan, skipped, spec, verdict


def verdicts(made: Plan, **problems: Problem) -> dict[str, Verdict]:
    """INVALID for these problems, by the names of the points; all others are VALID."""
    good = {point.name: verdict(Outcome.VALID) for point in made.points}
    return good | {name.replace("_", "-"): verdict(Outcome.INVALID, problem) for name, problem in problems.items()}


def line(made: Plan, found: dict[str, Verdict], *, is_ended: bool = True, problem: Problem | None = None) -> str:
    results = sweep_results(made, found, run_dir="runs/1")
    return last_line(sweep_verdict(results, is_ended=is_ended, problem=problem), made, results)


def test_the_last_line_counts_every_outcome() -> None:
    """INVALID beats the others."""
    made = drawn(at="0-3")
    found = verdicts(made, sigkill_step0001_rank1=skipped(2))
    assert line(made, found) == "INVALID: 7 VALID, 1 INVALID"
    assert sweep_verdict(sweep_results(made, found, run_dir="."), is_ended=True).reason == str(skipped(2))


def test_what_was_left_out_is_said() -> None:
    """By the sample and by the budget; it makes nothing worse, as long as something was run."""
    made = drawn(sample=6)
    found = dict(list(verdicts(made).items())[:4])
    assert line(made, found) == "VALID: 4 VALID; 6 of 24 points were drawn; 2 not run"


def test_no_point_at_all_is_unknown() -> None:
    """Silence is no success."""
    assert line(drawn(), {}) == "UNKNOWN: no point was run; 24 not run"


def test_what_an_interruption_left_out_may_be_wrong() -> None:
    """Good points prove nothing about the others; a bad one stays bad."""
    made = drawn(at="0-3")
    good = dict(list(verdicts(made).items())[:3])
    bad = good | {"sigkill-step0001-rank1": verdict(Outcome.INVALID, skipped(2))}
    assert line(made, good, is_ended=False) == "UNKNOWN: the sweep was interrupted; 3 VALID; 5 not run"
    assert line(made, bad, is_ended=False) == "INVALID: 3 VALID, 1 INVALID; 4 not run"


def test_references_that_failed_are_the_reason() -> None:
    """There are no points then."""
    assert line(plan(spec()), {}, problem=NothingTrained()) == "UNKNOWN: nothing was trained on"


def test_failures_are_told_by_cause_with_a_command_that_repeats_one() -> None:
    """Two points that differ only in the batch are one cause."""
    made = drawn(at="0-3")
    found = verdicts(
        made,
        sigkill_step0001_rank1=skipped(2),
        sigkill_step0002_rank1=skipped(3),
        sigkill_step0003_rank0=NoFaultPlanned(),
    )
    output = io.StringIO()
    render_sweep(made, sweep_results(made, found, run_dir="runs/1"), Console(file=output, width=100))
    shown = output.getvalue()
    assert ("INVALID: 2 points" in shown, "INVALID: 1 point\n" in shown) == (True, True)
    assert "sigkill@step=1:rank=1, sigkill@step=2:rank=1" in shown
    assert "--fault sigkill@step=3:rank=0 train.py" in shown
    assert "rank 1  . X X ." in shown


def test_how_far_points_of_chains_were_followed_is_said() -> None:
    """A short tail shows less than a run to its end."""
    made = drawn(at="0-3", ranks="0")
    good = {point.name: verdict(Outcome.VALID) for point in made.points}
    ends = {"sigkill-step0000-rank0": 7, "sigkill-step0001-rank0": 6, "sigkill-step0002-rank0": None}
    for name, until in ends.items():
        good[name] = msgspec.structs.replace(good[name], chain="chain-0001", until=until)
    output = io.StringIO()
    render_sweep(made, sweep_results(made, good, run_dir="runs/1"), Console(file=output, width=200))
    assert "in chains: 2 points followed up to the next fault, 1 to the end of the job" in output.getvalue()
