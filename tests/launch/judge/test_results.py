import json
from pathlib import Path

import msgspec
import pytest

from resumable.launch.judge.results import Results, Span, encode_results, results_schema
from resumable.launch.outcome import Outcome, worst
from tests.launch.report import samples

GOLDEN = Path(__file__).parents[1] / "golden"
README = Path(__file__).parents[3] / "launch/report/README.md"


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([Outcome.VALID, Outcome.VALID], Outcome.VALID),
        ([Outcome.VALID, Outcome.UNKNOWN], Outcome.UNKNOWN),
        ([Outcome.VALID, Outcome.UNKNOWN, Outcome.INVALID], Outcome.INVALID),
        ([], Outcome.UNKNOWN),
    ],
)
def test_the_worst_case_decides(outcomes, expected):
    """INVALID beats UNKNOWN beats VALID, and nothing proves nothing."""
    assert expected == worst(outcomes)


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


def test_version_1_keeps_its_shape():
    """A reader of version 1 finds every field where it was; a change here needs a new version, or adds a field."""
    expected = (GOLDEN / "results-version-1.json").read_bytes()
    assert expected == encode_results(samples.fixed())


def test_the_schema_in_the_repository_is_the_one_that_is_written():
    """`launch/report/results.schema.json` is generated; `python -m resumable.launch.report.schema` writes it anew."""
    expected = (README.parent / "results.schema.json").read_bytes()
    assert expected == results_schema()


def field_names() -> list[str]:
    definitions = json.loads(results_schema())["$defs"].values()
    return sorted({name for definition in definitions for name in definition.get("properties", {})})


@pytest.mark.parametrize("name", field_names())
def test_every_field_is_documented(name):
    """The page beside the renderings names it."""
    assert f"`{name}`" in README.read_text()
