"""Bundles at the command line: made by one command, read by others."""

from __future__ import annotations

from pathlib import Path

import pytest

from resumable.launch.cli.main import main
from resumable.launch.judge.results import decode_results
from tests.launch.report import samples, timelines


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a run that is not there any more."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    run_dir = timelines.run_of(samples.invalid(), tmp_path / "run")
    assert main(["report", str(run_dir.root), "--bundle", "sent/run.zip"]) == 1
    run_dir.root.rename(tmp_path / "elsewhere")
    return tmp_path / "sent/run.zip"


def test_check_reads_a_bundle(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As it reads a run directory; and it says how to look again."""
    assert main(["check", str(bundle)]) == 1
    said = capsys.readouterr().out
    assert ("INVALID: rank 1 trained on" in said, "look again: resumable check sent/run.zip" in said) == (True, True)
    assert main(["check", "-q", str(bundle)]) == 1
    assert "INVALID sent/run.zip: rank_sequence" in capsys.readouterr().out


def test_a_report_is_made_of_a_bundle(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same as is in it, but for where the evidence lies; what was written is named, and what it says."""
    capsys.readouterr()
    assert main(["report", str(bundle), "--json", "results.json", "--html", "report.html"]) == 1
    assert capsys.readouterr().out.splitlines() == ["written: report.html, results.json (INVALID)"]
    results = decode_results((tmp_path / "results.json").read_bytes())
    assert (results.run_dir, results.cases[0].verdict.outcome) == (str(bundle), "invalid")
    assert "incarnation" in (tmp_path / "report.html").read_text()


def test_nothing_is_added_to_a_report_on_the_standard_output(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever reads it there reads a file."""
    capsys.readouterr()
    assert main(["report", str(bundle), "--json", "-"]) == 1
    assert decode_results(capsys.readouterr().out.encode()).outcome == "invalid"


def test_a_bundle_is_watched_as_it_ended(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing goes on in it."""
    capsys.readouterr()
    assert main(["watch", str(bundle)]) == 0
    assert "faulted, rank 0: step" in capsys.readouterr().out


def test_a_sweep_is_read_from_a_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every point of it is judged again."""
    monkeypatch.chdir(tmp_path)
    run_dir = timelines.sweep_run(tmp_path / "run")
    code = main(["check", "-q", str(run_dir.root)])
    main(["report", str(run_dir.root), "--bundle", "run.zip"])
    assert code == main(["check", "-q", "run.zip"])


def test_what_is_no_bundle_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence, and the exit code of a wrong request."""
    (tmp_path / "run.zip").write_bytes(b"no zip")
    assert main(["check", str(tmp_path / "run.zip")]) == 2
    assert "neither a run directory nor a bundle of one" in capsys.readouterr().err
