import re

import pytest

from resumable.launch.explain.outcome import Outcome
from resumable.launch.report.annotations import workflow_commands
from tests.launch.report import samples


@pytest.mark.parametrize(
    ("outcome", "strict", "level"),
    [(Outcome.INVALID, False, "error"), (Outcome.UNKNOWN, False, "warning"), (Outcome.UNKNOWN, True, "error")],
)
def test_what_is_not_proved_is_annotated(tmp_path, outcome, strict, level):
    """INVALID is an error; UNKNOWN a warning, or an error if strict."""
    [command] = workflow_commands(samples.hostile(outcome), here=tmp_path, strict=strict)
    assert command.startswith(f"::{level} title=resume {outcome.upper()}::")


def test_a_valid_run_annotates_nothing(tmp_path):
    """Silence, because the exit code says it."""
    assert workflow_commands(samples.of(samples.valid()), here=tmp_path) == []


def test_the_annotation_stands_on_the_script(tmp_path):
    """Where it lies in the checkout."""
    (tmp_path / "train.py").touch()
    results = samples.of(samples.invalid())
    [command] = workflow_commands(results, here=tmp_path)
    assert command.startswith("::error file=train.py,line=1,title=resume INVALID::rank_sequence: rank 1 trained")
    assert command.endswith(f"%0Arepeat: {results.cases[0].repeat}")


def test_a_cause_is_annotated_once(tmp_path):
    """With the number of its cases."""
    commands = workflow_commands(samples.sweep(), here=tmp_path)
    assert [re.search("title=resume (.*?)::", c)[1] for c in commands] == ["INVALID (2 cases)", "UNKNOWN (2 cases)"]


def test_hostile_text_starts_no_command_of_its_own(tmp_path):
    """One line each, whatever is in it."""
    [command] = workflow_commands(samples.hostile(), here=tmp_path)
    assert ("\n" in command, "%0A::error" in command) == (False, False)
