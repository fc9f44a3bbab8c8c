import os
from pathlib import Path

import pytest

from resumable.launch.evidence.run_dir import ScenarioDir
from resumable.launch.report.log_tails import MAX_LINES, log_tails


@pytest.fixture
def scenario(tmp_path: Path) -> ScenarioDir:
    scenario = ScenarioDir(root=tmp_path / "run/faulted")
    scenario.create()
    scenario.incarnation_logs(0).mkdir()
    return scenario


def test_the_last_lines_of_each_log_are_kept(scenario):
    """In order of incarnation and rank; what is empty is left out."""
    folder = scenario.incarnation_logs(0)
    (folder / "rank10.err").write_text("".join(f"line {n}\n" for n in range(MAX_LINES + 5)))
    (folder / "rank2.out").write_text("loss 0.5\n")
    (folder / "rank2.err").write_text("")
    tails = log_tails(scenario)
    assert [(tail.rank, tail.stream) for tail in tails] == [(2, "standard output"), (10, "standard error")]
    assert (tails[0].lines, tails[1].lines[0], len(tails[1].lines)) == (("loss 0.5",), "line 5", MAX_LINES)
    assert tails[0].file == "faulted/logs/i000/rank2.out"


def link(path: Path, target: Path) -> None:
    target.write_text("secret")
    path.symlink_to(target)


def pipe(path: Path, _target: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("make", [link, pipe])
def test_what_is_no_log_is_not_read(scenario, make):
    """A link out of the run directory, or a pipe that nobody writes to."""
    make(scenario.incarnation_logs(0) / "rank0.err", scenario.root.parent.parent / "secret")
    assert log_tails(scenario) == ()
