from xml.etree import ElementTree as ET

import pytest

from resumable.launch.explain.outcome import Outcome
from resumable.launch.report.junit import junit
from tests.launch.report import samples

ALLOWED = {
    "testsuites": {"name", "tests", "failures", "errors", "time"},
    "testsuite": {"name", "tests", "failures", "errors", "time", "skipped", "timestamp"},
    "properties": set(),
    "property": {"name", "value"},
    "testcase": {"classname", "name", "time"},
    "failure": {"message", "type"},
    "skipped": {"message"},
}
"""Elements and attributes that the schemas of Jenkins and of surefire both know."""


def suite(results, **options):
    return ET.fromstring(junit(results, **options)).find("testsuite")


@pytest.mark.parametrize(
    ("evidence", "tags"),
    [(samples.valid(), []), (samples.invalid(), ["failure"]), (samples.undecided(), ["skipped"])],
)
def test_each_outcome_has_its_element(evidence, tags):
    """VALID has none, INVALID is a failure, UNKNOWN is skipped."""
    assert tags == [child.tag for child in suite(samples.of(evidence)).find("testcase")]


def test_strict_makes_unknown_a_failure():
    """Of another type than INVALID, and counted."""
    found = suite(samples.of(samples.undecided()), strict=True)
    assert (found.find("testcase/failure").get("type"), found.get("failures"), found.get("skipped")) == (
        "unknown",
        "1",
        "0",
    )


def test_a_failure_tells_what_why_and_how_to_repeat_it():
    """A person sees it without opening the run directory."""
    results = samples.of(samples.invalid())
    text = suite(results).find("testcase/failure").text
    words = [
        "rank 1 trained on different samples",
        "it skipped 1 batch",
        "i001-r0001-1.jsonl:5",
        results.cases[0].repeat,
    ]
    assert [word for word in words if word not in text] == []


def test_a_case_is_named_by_its_script_and_faults():
    """So that a CI server keeps its history over runs."""
    case = suite(samples.of(samples.valid())).find("testcase")
    assert (case.get("classname"), case.get("name"), case.get("time")) == ("train.py", "sigkill@step=4:rank=1", "1.500")


def test_a_sweep_is_one_suite():
    """With the three counts as CI servers read them."""
    found = suite(samples.sweep())
    assert (found.get("tests"), found.get("failures"), found.get("skipped")) == ("24", "2", "2")
    assert len(found.findall("testcase")) == 24


@pytest.mark.parametrize("outcome", [Outcome.INVALID, Outcome.UNKNOWN])
def test_hostile_text_stays_text(outcome):
    """Control characters and lone surrogates are replaced; the document can be parsed and holds the rest."""
    found = suite(samples.hostile(outcome), strict=True)
    message = found.find("testcase/failure").get("message")
    shown = samples.HOSTILE.translate({0: "\ufffd", 0x1B: "\ufffd", 0xD800: "\ufffd"})
    assert shown.replace("::error", ": :error") == message


@pytest.mark.parametrize(
    "results", [samples.fixed(), samples.sweep(), samples.empty(), samples.hostile(), samples.of(samples.undecided())]
)
@pytest.mark.parametrize("strict", [False, True])
def test_only_what_common_readers_know_is_written(results, strict):
    """No element or attribute besides."""
    root = ET.fromstring(junit(results, strict=strict))
    assert [(e.tag, name) for e in root.iter() for name in ("", *e.keys()) if name and name not in ALLOWED[e.tag]] == []


def test_no_case_is_an_empty_suite():
    """And still a document."""
    assert (suite(samples.empty()).get("tests"), suite(samples.empty()).findall("testcase")) == ("0", [])


@pytest.mark.parametrize("strict", [False, True])
def test_what_was_not_run_is_skipped_and_counted(strict):
    """It is no failure, however strict: nothing is known of it."""
    results = samples.broken_off()
    found = suite(results, strict=strict)
    case = found.findall("testcase")[-1]
    assert (case.get("name"), [child.tag for child in case]) == (results.left_out[0].name, ["skipped"])
    assert (found.get("tests"), found.get("failures"), found.get("skipped")) == ("2", "1", "1")
