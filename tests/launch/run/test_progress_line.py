from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from resumable.launch.evidence.rank_records import Step, encode_line
from resumable.launch.evidence.run_dir import ScenarioDir
from resumable.launch.run.progress_line import ProgressLine, StepCounter


@pytest.fixture
def scenario_dir(tmp_path: Path) -> ScenarioDir:
    scenario = ScenarioDir(root=tmp_path / "faulted")
    scenario.create()
    return scenario


def append_steps(scenario_dir: ScenarioDir, num_steps: int, *, incarnation: int = 0, torn: bytes = b"") -> None:
    line = encode_line(Step(sequence=0, time_ns=0, step=0))
    with scenario_dir.event_file(incarnation=incarnation, rank=0, pid=7).open("ab") as file:
        file.write(line * num_steps + torn)


def test_steps_are_counted_as_they_come(scenario_dir: ScenarioDir) -> None:
    """Each whole line counts once, over all incarnations; a line that is still being written waits."""
    counter = StepCounter(scenario_dir)
    append_steps(scenario_dir, 3, torn=b'{"event":"step"')
    counter.update()
    assert (counter.num_steps, counter.num_incarnations) == (3, 1)
    append_steps(scenario_dir, 0, torn=b"}\n")
    append_steps(scenario_dir, 2, incarnation=1)
    counter.update()
    counter.update()
    assert (counter.num_steps, counter.num_incarnations) == (6, 2)


@pytest.mark.parametrize(("is_quiet", "expected"), [(False, ["faulted      4 steps, 0 restarts"]), (True, [])])
def test_without_a_terminal_there_is_one_plain_line(
    scenario_dir: ScenarioDir, is_quiet: bool, expected: list[str]
) -> None:
    """Nothing is redrawn where nobody looks; quiet says nothing at all."""
    output = io.StringIO()
    with ProgressLine(scenario_dir, "faulted", Console(file=output, force_terminal=False), is_quiet=is_quiet) as line:
        append_steps(scenario_dir, 4)
        line.tick()
    assert [text.rpartition(",")[0] for text in output.getvalue().splitlines()] == expected
