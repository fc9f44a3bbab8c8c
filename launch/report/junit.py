"""Results as JUnit XML, in the dialect that Jenkins, GitLab and GitHub's test reporters share."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree as ET

from resumable.launch.explain.check_result import Violation
from resumable.launch.explain.outcome import Outcome
from resumable.launch.judge.results import Case, Results
from resumable.launch.system.text_safety import printable
from resumable.launch.system.wording import place

_MAX_VIOLATIONS = 10


def junit(results: Results, *, strict: bool = False) -> bytes:
    """One test suite with a test case for each case, and for each point of a sweep that was not run.

    INVALID is a failure; UNKNOWN is skipped, or a failure too if `strict`; what was not run is skipped.
    """
    num_failures = results.counts.invalid + (results.counts.unknown if strict else 0)
    num_skipped = len(results.left_out) + (0 if strict else results.counts.unknown)
    figures = {
        "name": f"resumable {results.kind}",
        "tests": str(len(results.cases) + len(results.left_out)),
        "failures": str(num_failures),
        "errors": "0",
        "time": _seconds(sum(case.time_s or 0.0 for case in results.cases)),
    }
    root = ET.Element("testsuites", figures)
    suite = ET.SubElement(root, "testsuite", {**figures, "skipped": str(num_skipped)})
    if results.started is not None:
        suite.set("timestamp", printable(results.started))
    properties = ET.SubElement(suite, "properties")
    for name, value in _properties(results):
        ET.SubElement(properties, "property", {"name": name, "value": printable(value)})
    for case in results.cases:
        suite.append(_case(case, results, strict=strict))
    for point in results.left_out:
        element = ET.SubElement(suite, "testcase", _names(point.name, results))
        ET.SubElement(element, "skipped", {"message": "not run: the sweep came to its end before"})
    ET.indent(root)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _properties(results: Results) -> Iterator[tuple[str, str]]:
    yield "outcome", str(results.outcome)
    yield "run_dir", results.run_dir
    yield "resumable", results.tools.resumable
    if results.tools.python is not None:
        yield "python", results.tools.python
    if results.tools.torch is not None:
        yield "torch", results.tools.torch


def _names(name: str, results: Results) -> dict[str, str]:
    return {"classname": printable(results.script), "name": printable(name)}


def _case(case: Case, results: Results, *, strict: bool) -> ET.Element:
    element = ET.Element("testcase", _names(case.name, results))
    element.set("time", _seconds(case.time_s or 0.0))
    outcome, message = case.verdict.outcome, printable(case.verdict.reason)
    if outcome is Outcome.INVALID or (strict and outcome is not Outcome.VALID):
        kind = "invalid" if outcome is Outcome.INVALID else "unknown"
        failure = ET.SubElement(element, "failure", {"message": message, "type": kind})
        failure.text = "\n".join(map(printable, _story(case, results)))
    elif outcome is not Outcome.VALID:
        ET.SubElement(element, "skipped", {"message": message})
    return element


def _story(case: Case, results: Results) -> Iterator[str]:
    """What a person reads who opens the failure."""
    yield case.verdict.reason
    if case.verdict.advice:
        yield f"to do: {case.verdict.advice}"
    for report in case.verdict.checks:
        if report.result.outcome in (Outcome.INVALID, Outcome.UNKNOWN):
            yield f"\n{report.name}: {report.result.summary}"
            for violation in report.result.violations[:_MAX_VIOLATIONS]:
                yield from _violation(violation, results.run_dir)
    yield f"\nevidence: {results.run_dir}\nrepeat: {case.repeat}\n"


def _violation(violation: Violation, run_dir: str) -> Iterator[str]:
    yield f"  {violation.sentence}"
    if violation.explanation:
        yield f"    {violation.explanation}"
    if violation.file is not None:
        yield f"    {run_dir}/{place(violation.file, violation.line)}"


def _seconds(time_s: float) -> str:
    return f"{time_s:.3f}"
