"""Runs of real jobs, recorded once: what their evidence proves is known, and judging it takes no torch.

`python -m tests.launch.corpus.record` records them again, for a new kind of job or a new field of the evidence.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.judge.causes import causes_of
from resumable.launch.report.reading import read_results
from tests.launch.corpus.record import CORPUS, RECORDINGS, Recording

IDS = pytest.mark.parametrize(("name", "recording"), RECORDINGS.items(), ids=list(RECORDINGS))


@IDS
def test_a_recorded_run_has_its_verdict(name: str, recording: Recording) -> None:
    """With the code of what is wrong, whatever its sentence reads like."""
    results = read_results(RunDir(root=CORPUS / name))
    causes = [case.verdict.cause for cause in causes_of(results) for case in cause.cases[:1]]
    codes = {cause.problem.code for cause in causes if cause is not None}
    expected = (recording.outcome, {recording.code} if recording.code else set())
    assert expected == (results.outcome, codes), [case.verdict.reason for case in results.cases]


@IDS
def test_a_recorded_run_names_no_place_of_a_machine(name: str, recording: Recording) -> None:
    """It can be published, and read anywhere."""
    text = "".join(file.read_text() for file in sorted((CORPUS / name).rglob("*")) if file.is_file())
    assert [
        word for word in ("/tmp/", "/home/", "/root/", '"/work', str(Path.home()), sys.prefix) if word in text
    ] == []


def test_every_recorded_run_is_judged() -> None:
    """No folder is left without a verdict."""
    assert set(RECORDINGS) == {folder.name for folder in CORPUS.iterdir() if (folder / "plan.json").exists()}


def test_a_line_that_is_missing_takes_the_proof_away(tmp_path: Path) -> None:
    """A valid run of which one rank's evidence lost a line in the middle is UNKNOWN."""
    root = Path(shutil.copytree(CORPUS / "plain", tmp_path / "run"))
    [file] = (root / "faulted" / "events").glob("i001-r0001-*.jsonl")
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:3] + lines[4:]))
    assert read_results(RunDir(root=root)).outcome == "unknown"


def test_judging_imports_no_torch() -> None:
    """`resumable check` works where torch is not installed."""
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from resumable.launch.evidence.run_dir import RunDir\n"
        "from resumable.launch.report.reading import read_results\n"
        f"print(read_results(RunDir(root=Path({str(CORPUS / 'plain')!r}))).outcome, 'torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "valid False\n"
