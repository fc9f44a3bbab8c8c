"""Whole sweeps as a user starts them: real ranks, killed at one point after the other."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from resumable.launch.cli.main import main
from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.judge.results import decode_results
from resumable.launch.judge.verdict import Verdict
from resumable.launch.plan.plan import Beginning
from tests.integration.conftest import TIMEOUT_S, Resumable
from tests.integration.waiting import wait_until

MUTANT = str(Path(__file__).parents[1] / "mutants" / "job.py")
BUILT_IN = ("-m", "resumable.launch.jobs.digits", "--epochs", "2")


def outcomes(run_dir: Path) -> dict[str, str]:
    """The stored verdict of every scenario that has one."""
    files = sorted(run_dir.glob("*/verdict.json"))
    return {file.parent.name: msgspec.json.decode(file.read_bytes(), type=Verdict).outcome for file in files}


def times(run_dir: Path) -> dict[str, int]:
    """When every verdict was stored."""
    return {file.parent.name: file.stat().st_mtime_ns for file in run_dir.glob("*/verdict.json")}


def test_every_point_of_the_built_in_job_is_valid(
    resumable: Resumable, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Steps at the start, at a border of epochs and at the very end, and a kill within a save; `check` agrees.

    Reports that the sweep writes itself say when it was run, and with what.
    """
    monkeypatch.chdir(tmp_path)
    words = ("--at", "0,19,39,save#2+during", "--jobs", "1", "--json", str(tmp_path / "results.json"))
    finished = resumable("sweep", "--nproc-per-node", "2", *words, *BUILT_IN)
    assert (finished.exit_code, finished.errors) == (0, ""), finished.output
    assert finished.output.startswith("VALID: 7 VALID (")
    expected = {f"sigkill-step{step:04d}-rank{rank}" for step in (0, 19, 39) for rank in (0, 1)}
    assert dict.fromkeys([*expected, "sigkill-save0002during-rank0"], "valid") == outcomes(finished.run_dir)
    results = decode_results((tmp_path / "results.json").read_bytes())
    assert None not in (results.started, results.finished, results.tools.torch)
    assert {False} == {(folder / "work").exists() for folder in finished.run_dir.glob("sigkill-*")}
    assert (main(["check", "--quiet", str(finished.run_dir)]), capsys.readouterr().out) == (0, finished.output)


def test_a_planted_bug_is_found_where_it_shows_and_nowhere_else(
    resumable: Resumable, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A loop that loses an epoch if it resumes on a border, alone and on plain processes too; the chain goes on."""
    monkeypatch.chdir(tmp_path)
    at = ("--at", "3,24,38", "--ranks", "1", "--jobs", "1")
    finished = resumable("sweep", "--nproc-per-node", "2", *at, MUTANT, "--bug", "empty-after-border")
    assert (finished.exit_code, finished.errors) == (1, ""), finished.output
    before, wrong, behind = (f"sigkill-step{step:04d}-rank1" for step in (3, 24, 38))
    assert {before: "valid", wrong: "invalid", f"{wrong}-plain": "invalid", behind: "valid"} == outcomes(
        finished.run_dir
    )
    assert tuple(read(finished.run_dir, name).chain for name in (before, behind)) == ("chain-0001", "chain-0002")
    begins = RunDir(root=finished.run_dir).read_plan().chains[1].begins
    assert Beginning(works_in="chain-0001", incarnation=1) == begins
    reason = read(finished.run_dir, wrong).reason
    assert ("epoch 3" in reason, reason.endswith("(holds on plain processes)")) == (True, True), reason
    last_line = finished.output.splitlines()[-1] + "\n"
    assert (main(["check", "--quiet", str(finished.run_dir)]), capsys.readouterr().out) == (1, last_line)


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a sweep that goes on by itself, with the evidence in `run`."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        words = [sys.executable, "-m", "resumable.launch", "sweep", "--quiet", "--run-dir", "run", *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        started.append(subprocess.Popen(words, cwd=tmp_path, text=True, **pipes))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_an_interrupted_sweep_goes_on_where_it_stopped(
    begin: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    """Ctrl-C ends it in order; the same command without its arguments does the rest, and only that."""
    first = begin("--nproc-per-node", "2", "--at", "every:8", "--ranks", "1", "--jobs", "1", *BUILT_IN)
    wait_until(lambda: len(outcomes(tmp_path / "run")) >= 2, timeout_s=TIMEOUT_S)
    first.send_signal(signal.SIGINT)
    _, errors = first.communicate(timeout=TIMEOUT_S)
    assert (first.returncode, "go on: resumable sweep --run-dir run" in errors) == (3, True), errors
    points = RunDir(root=tmp_path / "run").read_plan().points
    assert main(["check", "--quiet", str(tmp_path / "run")]) == 3
    done = times(tmp_path / "run")
    assert 2 <= len(done) < len(points) == 5

    second = begin()
    output, errors = second.communicate(timeout=TIMEOUT_S)
    assert (second.returncode, output, errors) == (0, "VALID: 5 VALID (run)\n", "")
    after = times(tmp_path / "run")
    assert done == {name: after[name] for name in done}
    assert {point.name for point in points} == set(after)


def test_a_chain_hits_one_point_after_the_other_in_one_job(
    resumable: Resumable, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Six kills of two jobs, and a verdict for each; `check` agrees."""
    monkeypatch.chdir(tmp_path)
    words = ("--at", "every:7", "--ranks", "1", "--jobs", "1")
    finished = resumable("sweep", "--nproc-per-node", "2", *words, *BUILT_IN)
    assert (finished.exit_code, finished.errors) == (0, ""), finished.output
    assert finished.output.startswith("VALID: 6 VALID ("), finished.output
    plan = RunDir(root=finished.run_dir).read_plan()
    links = {chain.name: {link.point for link in chain.links} for chain in plan.chains}
    assert {name: len(points) for name, points in links.items()} == {"chain-0001": 3, "chain-0002": 3}
    assert [
        point.name for point in plan.points if point.name not in links[read(finished.run_dir, point.name).chain]
    ] == []
    assert {False} == {(finished.run_dir / name / "work").exists() for name in links}
    assert (main(["check", "--quiet", str(finished.run_dir)]), capsys.readouterr().out) == (0, finished.output)


def read(run_dir: Path, name: str) -> Verdict:
    return msgspec.json.decode((run_dir / name / "verdict.json").read_bytes(), type=Verdict)


def test_a_bug_of_the_second_resume_is_found_in_a_chain_and_told_from_one_of_the_first(resumable: Resumable) -> None:
    """Alone the point is VALID, behind the one before it it is not, on plain processes either."""
    words = ("--at", "12,18,22", "--ranks", "1", "--jobs", "1")
    finished = resumable("sweep", "--nproc-per-node", "2", *words, MUTANT, "--bug", "second-resume")
    assert (finished.exit_code, finished.errors) == (1, ""), finished.output
    verdicts = [read(finished.run_dir, f"sigkill-step{step:04d}-rank1") for step in (18, 22)]
    assert [(verdict.outcome, verdict.confirmation, verdict.chain) for verdict in verdicts] == [
        ("valid", "none", "chain-0001"),
        ("invalid", "both", "chain-0002"),
    ]


@pytest.mark.parametrize("how", ["--chain", pytest.param("--no-chain", marks=pytest.mark.thorough)])
def test_a_sweep_may_end_with_its_first_failure(resumable: Resumable, how: str) -> None:
    """The failure is looked at on plain processes, and all else is left out, which the last line says."""
    words = (how, "--until-failure", "--at", "every:8", "--ranks", "1", "--jobs", "1")
    finished = resumable("sweep", "--nproc-per-node", "2", *words, MUTANT, "--bug", "optimizer-forgotten")
    assert (finished.exit_code, finished.errors) == (1, ""), finished.output
    plan = RunDir(root=finished.run_dir).read_plan()
    judged = [read(finished.run_dir, point.name) for point in plan.points if point.name in outcomes(finished.run_dir)]
    [failed] = [verdict for verdict in judged if verdict.outcome == "invalid"]
    assert failed.confirmation == "both", failed.reason
    assert f"{len(plan.points) - len(judged)} not run" in finished.output
