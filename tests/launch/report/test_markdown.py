import re

import msgspec
import pytest

from resumable.launch.explain.outcome import Outcome
from resumable.launch.report.markdown import MAX_SIZE_BYTES, markdown
from tests.launch import histories
from tests.launch.report import samples


@pytest.mark.parametrize(
    ("evidence", "word"),
    [(samples.valid(), "VALID"), (samples.invalid(), "INVALID"), (samples.undecided(), "UNKNOWN")],
)
def test_the_first_line_is_the_verdict(evidence, word):
    """Whoever reads one line knows."""
    assert f"## Resume {word}: <code>train.py</code>" == markdown(samples.of(evidence)).splitlines()[0]


def test_a_verify_is_a_table_of_its_checks():
    """One row each, with a word for the outcome."""
    lines = markdown(samples.of(samples.invalid())).splitlines()
    rows = [line for line in lines if line.startswith("| <code>")]
    assert len(samples.of(samples.invalid()).cases[0].verdict.checks) == len(rows)
    assert [row for row in rows if row.count(" | ") != 2] == []
    assert "| <code>rank&#95;sequence</code> | **INVALID** | 1 of 2 ranks differ |" in rows


def test_a_valid_says_what_it_does_not_show():
    """Below its checks."""
    assert "\n\nNote: only epoch 0 was resumed in" in markdown(samples.of(samples.valid()))


@pytest.mark.parametrize(("results", "is_said"), [(samples.sampled(), True), (samples.sweep(), False)])
def test_a_sample_says_of_how_many_points_it_was_drawn(results, is_said):
    """Beside the counts."""
    assert is_said == ("; 2 of 8 points were drawn" in markdown(results))


def test_a_failure_shows_the_first_difference_and_how_to_repeat_it():
    """In fenced blocks, so that they can be copied."""
    results = samples.of(samples.invalid())
    text = markdown(results)
    assert f"```sh\n{results.cases[0].repeat}\n```" in text
    assert re.search(r"```text\nexpected .*\nfound .*\n +\^+\n```", text)


def test_what_to_type_is_shown_as_code():
    """It stands in backticks in our sentences."""
    text = markdown(samples.of(samples.undecided()))
    assert "To do: name an earlier moment, such as <code>--fault sigkill&#64;step=1:rank=0</code>, or" in text


def test_a_sweep_is_a_grid_of_marks():
    """A row a rank, a character a step, the steps' numbers downwards."""
    grid = """\
sigkill, rank by step
step              11
        012345678901
rank 0  .....?......
rank 1  ...XX?......
. VALID  X INVALID  ? UNKNOWN"""
    assert f"```text\n{grid}\n```" in markdown(samples.sweep())


def test_a_wide_grid_is_broken_into_blocks():
    """Each keeps the names of its rows."""
    text = markdown(samples.sweep(num_steps=150, num_ranks=1))
    assert [len(line) - len("rank 0  ") for line in text.splitlines() if line.startswith("rank 0")] == [100, 50]


def test_failures_are_told_once_for_each_cause():
    """With all the cases that gave it."""
    heads = [line for line in markdown(samples.sweep()).splitlines() if line.startswith("### ")]
    assert [head.partition(":")[0] for head in heads] == ["### INVALID (2 cases)", "### UNKNOWN (2 cases)"]


def test_a_case_whose_faults_are_text_is_listed_below_the_grid():
    """An old file has no place for it."""
    results = samples.sweep(num_steps=1, num_ranks=1)
    both = msgspec.structs.replace(results.cases[0], name="two together", planned_faults=())
    text = markdown(msgspec.structs.replace(results, cases=(*results.cases, both)))
    assert "| <code>two together</code> | VALID |" in text


@pytest.mark.parametrize("outcome", [Outcome.INVALID, Outcome.UNKNOWN])
def test_hostile_text_opens_nothing(outcome):
    """No HTML, no heading, no cell, no mention comes out of what a job says, outside of fenced blocks."""
    text = re.sub(r"(?ms)^(`{3,})[^`\n]*\n.*?^\1$", "", markdown(samples.hostile(outcome)))
    assert re.findall(r"<(?!/?code>)|@|^## \*no|\|b|`", text, flags=re.MULTILINE) == []


@pytest.mark.parametrize("size", [300, 1000, 1500])
def test_it_is_never_longer_than_allowed(size):
    """What was left out is counted in its place."""
    text = markdown(samples.sweep(), max_size_bytes=size)
    assert size >= len(text.encode())
    assert text.rstrip().endswith("hold everything)")


def test_ten_thousand_failures_fit():
    """A hopeless job makes no report that GitHub refuses."""
    results = samples.sweep(num_steps=10, num_ranks=1)
    cases = [
        msgspec.structs.replace(
            samples.hostile().cases[0],
            scenario=f"s{number}",
            name=f"x{number}",
            faults=(str(histories.sigkill(number)),),
            verdict=msgspec.structs.replace(samples.hostile().cases[0].verdict, reason=chr(0x4E00 + number) * 300),
        )
        for number in range(2000)
    ]
    text = markdown(msgspec.structs.replace(results, cases=tuple(cases)))
    assert MAX_SIZE_BYTES >= len(text.encode()) > MAX_SIZE_BYTES // 2


def test_nothing_judged_is_unknown():
    """An empty sweep has a headline and no grid."""
    text = markdown(samples.empty())
    assert ("## Resume UNKNOWN" in text, "0 cases" in text, "```" in text) == (True, True, False)


def test_what_was_not_run_is_counted_and_has_a_mark():
    """In the figures, the grid and its legend."""
    text = markdown(samples.broken_off())
    assert ("1 case: 0 VALID, 1 INVALID, 0 UNKNOWN; 1 point not run" in text, "- not run" in text) == (True, True)
