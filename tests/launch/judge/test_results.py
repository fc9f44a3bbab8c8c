import json
from pathlib import Path

import msgspec
import pytest

from resumable.launch.errors import EvidenceError
from resumable.launch.judge.results import Results, Span, decode_results, encode_results, results_schema
from resumable.launch.report.annotations import workflow_commands
from resumable.launch.report.junit import junit
from resumable.launch.report.markdown import markdown
from resumable.launch.report.schema import CODES_FILE, SCHEMA_FILE, codes_page
from tests.launch.report import samples
from tests.launch.report.timelines import without_evidence

GOLDEN = Path(__file__).parents[1] / "golden"
README = Path(__file__).parents[3] / "launch/report/README.md"


def test_every_case_is_counted_once():
    """The three counts add up to the cases of a sweep."""
    counts = samples.sweep().counts
    assert (counts.valid, counts.invalid, counts.unknown) == (20, 2, 2)


def test_spans_tell_what_was_kept_lost_and_done_again():
    """Killed after 5 steps and resumed at 4: one step of each rank is lost and done again."""
    [case] = samples.of(samples.valid()).cases
    rest = {"num_kept": 4, "num_replayed": 0}
    assert [
        Span(rank=0, incarnation=0, first_step=0, num_steps=5, end="ended", **rest),
        Span(rank=1, incarnation=0, first_step=0, num_steps=5, end="fault", **rest),
        Span(rank=0, incarnation=1, first_step=4, num_steps=20, num_kept=20, num_replayed=1, end="finished"),
        Span(rank=1, incarnation=1, first_step=4, num_steps=20, num_kept=20, num_replayed=1, end="finished"),
    ] == list(case.spans)


@pytest.mark.parametrize(
    "results", [samples.of(samples.valid()), samples.of(samples.invalid()), samples.sweep(), samples.empty()]
)
def test_the_file_holds_everything(results):
    """Writing and reading it back gives the same results."""
    assert results == msgspec.json.decode(encode_results(results), type=Results)


def test_version_2_keeps_its_shape():
    """A reader finds every field where it was; a change here needs a new version, or adds a field."""
    expected = (GOLDEN / "results-version-2.json").read_bytes()
    assert expected == encode_results(samples.fixed())


def test_version_1_stays_readable():
    """It has the same sentences and no codes."""
    found = decode_results((GOLDEN / "results-version-1.json").read_bytes())
    [case], [now] = found.cases, samples.fixed().cases
    [violation] = case.verdict.checks[0].result.violations
    assert (found.version, violation.problem, violation.sentence) == (1, None, "rank 1 trained on other samples")
    assert case.verdict.fired_faults == now.verdict.fired_faults


def annotations(results: Results) -> str:
    return "\n".join(workflow_commands(results, here=Path()))


@pytest.mark.parametrize("render", [without_evidence, markdown, junit, annotations])
def test_version_1_can_be_rendered(render):
    """By every renderer."""
    text = render(decode_results((GOLDEN / "results-version-1.json").read_bytes()))
    assert "it skipped 1 batch" in str(text) or "rank 1 trained on other samples" in str(text)


@pytest.mark.parametrize("data", [b"", b"[]", b'{"version": 99}', b'{"version": 1}', b'{"version": 2}'])
def test_no_results_are_an_error_that_says_so(data):
    """A newer version, or no results at all."""
    with pytest.raises(EvidenceError, match=r"results\.json"):
        decode_results(data)


def test_the_schema_in_the_repository_is_the_one_that_is_written():
    """`launch/report/results.schema.json` is generated; `python -m resumable.launch.report.schema` writes it again."""
    assert SCHEMA_FILE.read_bytes() == results_schema()


def test_the_page_of_codes_in_the_repository_is_the_one_that_is_written():
    """As the schema."""
    assert CODES_FILE.read_text() == codes_page()


def field_names() -> list[str]:
    """Of everything but problems and reasons, whose parameters stand on the page of codes."""
    definitions = json.loads(results_schema())["$defs"].values()
    own = [definition.get("properties", {}) for definition in definitions]
    return sorted({name for properties in own if "code" not in properties for name in properties})


@pytest.mark.parametrize("name", field_names())
def test_every_field_is_documented(name):
    """The page beside the renderings names it."""
    assert f"`{name}`" in README.read_text()
