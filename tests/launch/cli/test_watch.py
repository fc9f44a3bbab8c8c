"""`resumable watch` on runs that are over, under way, or not begun."""

from __future__ import annotations

import io
import re
import time
from argparse import Namespace
from pathlib import Path

import pytest
from rich.console import Console

from resumable.launch.cli.commands.watch import watch
from resumable.launch.cli.main import main
from resumable.launch.evidence.recorded_runs import SCENARIO, record_plan
from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.judge.verdict import judge_evidence, write_verdict
from resumable.launch.sweep.verdict_store import VerdictStore
from tests.launch import histories
from tests.launch.report import samples, timelines
from tests.launch.sweep.evidence import BAD


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")


def watched(run_dir: RunDir, capsys: pytest.CaptureFixture[str], *flags: str) -> list[str]:
    assert main(["watch", str(run_dir.root), *flags]) == 0
    return capsys.readouterr().out.splitlines()


def test_a_run_that_is_over_is_shown_once(tmp_path, capsys):
    """Its last scenario, then how to look at it."""
    run_dir = timelines.run_of(samples.valid(), tmp_path / "run")
    write_verdict(judge_evidence(samples.valid()), run_dir)
    lines = watched(run_dir, capsys)
    assert [line.split(":")[0] for line in lines] == ["faulted, rank 0", "faulted, rank 1", "it is over"]
    assert lines[0].endswith("1 restart, finished")


def test_a_run_that_goes_on_is_shown_as_it_is_now(tmp_path, capsys):
    """With `--once`; else it would be waited for."""
    run_dir = timelines.run_of(samples.valid(), tmp_path / "run")
    for path in run_dir.root.glob("faulted/events/*"):
        path.unlink()
    lines = watched(run_dir, capsys, "--once")
    assert [line.split(":")[0] for line in lines] == ["reference-2, rank 0", "reference-2, rank 1"]


def test_a_job_that_somebody_else_started_is_over_with_its_ranks(tmp_path, capsys):
    """Nobody seals it, and nobody judges it."""
    run_dir = timelines.run_of(samples.valid(), tmp_path / "run")
    (run_dir.root / "reference-1").rename(run_dir.root / SCENARIO)
    run_dir.write_plan(record_plan())
    assert [line.split(":")[0] for line in watched(run_dir, capsys)] == ["run, rank 0", "run, rank 1"]


def test_a_run_that_has_not_begun_says_so(tmp_path, capsys):
    """There is a plan, and no evidence yet."""
    run_dir = RunDir(root=tmp_path)
    run_dir.write_plan(histories.plan())
    assert watched(run_dir, capsys, "--once") == ["not begun yet"]


def test_a_sweep_shows_its_grid(tmp_path, capsys):
    """What is done, and what runs."""
    run_dir = timelines.sweep_run(tmp_path / "run")
    VerdictStore(run_dir).enter(BAD, judge_evidence(samples.invalid()))
    before = watched(run_dir, capsys, "--once")
    (run_dir.scenario(BAD.name).root / "verdict.json").unlink()
    after = watched(run_dir, capsys, "--once")
    assert (before[3].rstrip(), before[-1]) == ("rank 1  X", "points: 2 of 2, 1 VALID, 1 INVALID")
    assert (after[3].rstrip(), after[-1]) == ("rank 1  >", "points: 1 of 2, 1 VALID")


def test_what_is_no_run_directory_is_refused(tmp_path, capsys):
    """It will not become one."""
    (tmp_path / "notes").touch()
    assert main(["watch", str(tmp_path)]) == 2
    assert "is no run directory" in capsys.readouterr().err


@pytest.mark.parametrize("is_made", [False, True])
def test_a_run_that_is_not_there_yet_is_waited_for(tmp_path, capsys, monkeypatch, is_made):
    """Whoever starts both at once cannot know which comes first; it says so, and what else could be meant."""
    for folder in ("runs", *["run"] * is_made):
        (tmp_path / folder).mkdir()
    timelines.run_of(samples.valid(), tmp_path / "runs/1")
    made = timelines.run_of(samples.valid(), tmp_path / "made")
    write_verdict(judge_evidence(samples.valid()), made)
    monkeypatch.setattr(time, "sleep", lambda _: made.root.rename(tmp_path / "run"))
    assert main(["watch", "run"]) == 0
    said = capsys.readouterr()
    assert said.err == "resumable: waiting for run, which is not there yet; the newest here is runs/1\n"
    assert said.out.splitlines()[-1] == "it is over: resumable check run"


def test_whoever_looks_once_waits_for_nothing(tmp_path, capsys):
    """As a script does."""
    assert main(["watch", "run", "--once"]) == 2
    assert "run does not exist" in capsys.readouterr().err


def test_a_look_at_a_run_that_may_go_on_stores_no_verdict(tmp_path, capsys):
    """Who watches it would take it for over."""
    run_dir = timelines.run_of(samples.undecided(), tmp_path / "run")
    assert main(["check", str(run_dir.root)]) == 3
    assert "not over, or broken off; while it runs: resumable watch" in capsys.readouterr().out
    assert not run_dir.verdict_file.exists()


@pytest.mark.parametrize(("width", "head"), [(100, "rank"), (60, "faulted, rank 0: step")])
def test_where_a_table_has_no_room_there_are_lines(tmp_path, monkeypatch, width, head):
    """A terminal that is redrawn shows whole words, however narrow it is."""
    run_dir = timelines.run_of(samples.valid(), tmp_path / "run")
    write_verdict(judge_evidence(samples.valid()), run_dir)
    printed = io.StringIO()
    watch(Namespace(run_dir=str(run_dir.root), once=False), Console(file=printed, width=width, force_terminal=True))
    lines = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", printed.getvalue()).splitlines()
    assert [line for line in lines if line.startswith(head)] != []
    assert [line for line in lines if "…" in line] == []
