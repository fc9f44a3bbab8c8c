"""Results as one HTML page that needs nothing besides itself."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from collections.abc import Sequence
from importlib.resources import files

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from resumable.launch.explain.outcome import Outcome
from resumable.launch.judge.causes import causes_of
from resumable.launch.judge.results import Case, Results
from resumable.launch.report.batches import named, shortened
from resumable.launch.report.grid import case_grids, mark_of_cell, marks_for, outside_grids
from resumable.launch.report.page import MAX_BATCHES, page_data
from resumable.launch.report.reading import CaseEvidence
from resumable.launch.report.story import story_of
from resumable.launch.system.text_safety import printable, script_json
from resumable.launch.system.wording import counted, place

MAX_VIOLATIONS = 20
"""Of one check that are shown; `results.json` holds all."""
MAX_DETAILED = 200
"""Cases of a sweep whose checks and logs are shown."""

_CODE = re.compile("`(.+?)`")
_STYLES = ("page.css", "timeline.css")
_SCRIPTS = ("model.js", "state.js", "layout.js", "paint.js", "tables.js", "timeline.js")


def html(results: Results, cases: CaseEvidence, *, max_batches: int = MAX_BATCHES) -> str:
    """The page: verdict, first difference, timeline, checks and logs of each case; for a sweep the grid and causes first.

    Its script is the only one that a browser runs in it, and nothing is loaded: the page's own policy forbids all else.

    Args:
        results: What came of the command.
        cases: The evidence on its cases; those of which there is none have no timeline and no logs.
        max_batches: Of all timelines together.
    """
    anchors = {case.scenario: f"case-{number}" for number, case in enumerate(results.cases)}
    detailed = _detailed(results)
    data = page_data(results, anchors, cases, max_batches=max_batches)
    style, script = _joined(_STYLES), _joined(_SCRIPTS)
    return _template().render(
        results=results,
        marks=marks_for(results),
        causes=causes_of(results),
        grids=case_grids(results) if results.kind == "sweep" else (),
        others=outside_grids(results) if results.kind == "sweep" else (),
        anchors=anchors,
        detailed={case.scenario for case in detailed},
        logs={case.scenario: cases.log_tails(case.scenario) for case in detailed},
        data=data,
        json=script_json(msgspec.json.encode(data)),
        style=style,
        script=script,
        policy=f"default-src 'none'; style-src {_source(style)}; script-src {_source(script)}; img-src data:",
        max_violations=MAX_VIOLATIONS,
        max_batches=max_batches,
    )


@functools.cache
def _template() -> Template:
    """Compiled once: it takes as long as all else that makes a small page."""
    environment = Environment(
        loader=PackageLoader("resumable.launch.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_harmless,
    )
    environment.filters.update(
        named=named, shortened=shortened, place=place, mark=mark_of_cell, story=story_of, counted=counted, prose=_prose
    )
    return environment.get_template("page.html")


def _detailed(results: Results) -> Sequence[Case]:
    """The cases that are told in full: all of a `verify`, those of a sweep that are not VALID."""
    if results.kind != "sweep":
        return results.cases
    return [case for case in results.cases if case.verdict.outcome is not Outcome.VALID][:MAX_DETAILED]


def _joined(names: Sequence[str]) -> str:
    """Files beside the templates, one after another."""
    folder = files("resumable.launch.report") / "templates"
    return "\n" + "".join((folder / name).read_text("utf-8") for name in names)


def _source(text: str) -> str:
    """How a content security policy names an element with this text."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _prose(text: str) -> Markup:
    """A sentence in which backticks stand around code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(printable(text)))))


def _harmless(value: object) -> object:
    """Every plain string that the page prints; autoescape comes after it."""
    return printable(value) if type(value) is str else value
