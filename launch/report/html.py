"""Results as one HTML page that needs nothing besides itself."""

from __future__ import annotations

from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from resumable.launch.explain.outcome import Outcome
from resumable.launch.explain.result import Violation
from resumable.launch.judge.causes import causes_of
from resumable.launch.judge.results import Case, Results
from resumable.launch.report.batches import marked_difference, shortened
from resumable.launch.report.chart import chart_of
from resumable.launch.report.grid import case_grids, outcome_of, outside_grids
from resumable.launch.sweep.marks import OUTCOMES
from resumable.launch.system.text_safety import printable
from resumable.launch.system.wording import place

MAX_VIOLATIONS = 20
"""Of one check that are shown; `results.json` holds all."""
MAX_DETAILED = 200
"""Cases of a sweep whose checks are shown."""

_WIDTH = 88


def html(results: Results) -> str:
    """The page: verdict, timeline, checks and first differences of each case; for a sweep the grid and causes first."""
    environment = Environment(
        loader=PackageLoader("resumable.launch.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_harmless,
    )
    environment.filters["difference"] = _difference
    environment.filters["shortened"] = shortened
    environment.filters["chart"] = chart_of
    environment.filters["place"] = place
    environment.filters["outcome"] = outcome_of
    environment.globals["marks"] = OUTCOMES
    detailed = _detailed(results)
    return environment.get_template("page.html").render(
        results=results,
        causes=causes_of(results),
        grids=case_grids(results) if results.kind == "sweep" else (),
        others=outside_grids(results) if results.kind == "sweep" else (),
        detailed=detailed,
        anchors={case.scenario: f"case-{number}" for number, case in enumerate(detailed)},
        max_violations=MAX_VIOLATIONS,
    )


def _detailed(results: Results) -> Sequence[Case]:
    """The cases that are told in full: all of a `verify`, those of a sweep that are not VALID."""
    if results.kind != "sweep":
        return results.cases
    return [case for case in results.cases if case.verdict.outcome is not Outcome.VALID][:MAX_DETAILED]


def _harmless(value: object) -> object:
    """Every plain string that the page prints; autoescape comes after it."""
    return printable(value) if type(value) is str else value


def _difference(violation: Violation) -> str:
    return "\n".join(marked_difference(violation.expected or (), violation.found or (), _WIDTH))
