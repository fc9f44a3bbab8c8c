"""The text of a bug report."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest

from resumable.launch.cli.main import main
from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.judge.results import Results
from resumable.launch.plan.plan import Script
from resumable.launch.report.issue import MAX_LINE, distributions, issue, origin_of
from resumable.launch.report.reading import read_results
from tests.launch.report import samples, timelines

CORPUS = Path(__file__).parents[1] / "corpus"


def text_of(root: Path) -> str:
    run_dir = RunDir(root=root)
    results: Results = read_results(run_dir)
    return issue(results, results.cases[0], run_dir.read_plan(), folder=root)


def test_it_says_what_was_run_expected_and_found_and_where_it_stands() -> None:
    """A maintainer needs nothing else, and no word of ours about it."""
    text = text_of(CORPUS / "epoch-restarted")
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings == [
        "# After a restart, rank 0 trained on different samples in batch 2 of epoch 1",
        "## To reproduce",
        "## What was done",
        "## Expected",
        "## Found",
        "## Evidence",
    ]
    assert "Each rank trains on exactly the batches of the uninterrupted run, in their order.\n" in text
    assert "expected 1 9\nfound    5 6\n         ^\n" in text


def test_the_command_is_the_smallest_that_shows_it() -> None:
    """No folder of the machine, and nothing that would be so by itself."""
    text = text_of(CORPUS / "epoch-restarted")
    command = "resumable verify --nproc-per-node 2 --fault sigkill@step=5:rank=1 job.py epoch-restarted"
    assert f"\n{command}\n```" in text


def test_the_line_of_evidence_is_quoted() -> None:
    """With the samples that came instead."""
    text = text_of(CORPUS / "epoch-restarted")
    [name] = [path.name for path in (CORPUS / "epoch-restarted/faulted/events").glob("i001-r0000-*")]
    assert f"In faulted/events/{name}:5:\n\n```json\n" in text.replace("&#45;", "-")
    assert '"indices":[5,6]' in text


def test_versions_are_those_of_the_ranks() -> None:
    """What pip is asked for is what an index has."""
    text = text_of(CORPUS / "epoch-restarted")
    [install] = re.findall(r"^pip install (.*)$", text, re.MULTILINE)
    assert ("torch==2.13.0" in install.split(), "Versions: torch 2.13.0+cpu, " in text) == (True, True)


@pytest.mark.parametrize(
    ("note", "expected"),
    [
        (None, ("demo==1.0", "")),
        ({"url": "file:///home/me/demo", "dir_info": {"editable": True}}, ("", "a folder")),
        (
            {"url": "file:///home/me/demo-1.0.whl", "archive_info": {"hashes": {"sha256": "12ab"}}},
            ("", "the file demo-1.0.whl, sha256 12ab"),
        ),
        (
            {"url": "https://example.org/demo", "vcs_info": {"vcs": "git", "commit_id": "34cd"}},
            ("demo @ git+https://example.org/demo@34cd", "commit 34cd"),
        ),
        ({"url": "file:///home/me/demo", "vcs_info": {"vcs": "git", "commit_id": "34cd"}}, ("", "commit 34cd")),
    ],
    ids=["index", "folder", "file", "repository", "clone"],
)
def test_pip_is_asked_for_what_it_can_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, note: object, expected: tuple[str, str]
) -> None:
    """By what pip wrote down when it installed; no folder of the machine is told."""
    installed = tmp_path / "demo-1.0.dist-info"
    installed.mkdir()
    files = {"METADATA": "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"}
    files |= {} if note is None else {"direct_url.json": json.dumps(note)}
    for name, text in files.items():
        (installed / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    assert expected == origin_of("demo", "1.0+cpu")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import msgspec.json, os", {"msgspec"}),
        ("from rich.console import Console", {"rich"}),
        ("from . import x\nimport torch, resumable, nowhere_at_all", set()),
        ("def f(): import psutil", {"psutil"}),
        ("no python", set()),
        ("\x00", set()),
    ],
)
def test_what_a_script_imports_is_named_with_its_version(tmp_path: Path, source: str, expected: set[str]) -> None:
    """By distribution; a script that cannot be read imports nothing."""
    (tmp_path / "train.py").write_text(source)
    assert expected == set(distributions(Script(path=str(tmp_path / "train.py"))))


@pytest.mark.parametrize(
    "script",
    [
        Script(path="/nowhere/train.py"),
        Script(path="json.tool", is_module=True),
        Script(path="/dev/zero"),
        Script(path="a\0b.py"),
    ],
)
def test_a_script_that_cannot_be_had_is_no_failure(script: Script) -> None:
    """The evidence may have come from elsewhere, and name whatever it likes."""
    assert distributions(script) == {}


def test_hostile_evidence_is_no_markup(tmp_path: Path) -> None:
    """Nothing that a job has called its samples steers the tracker."""
    run_dir = timelines.hostile_run(tmp_path / "run")
    text = text_of(run_dir.root)
    outside = "".join(text.split("```")[::2])
    assert ("<script>" in outside, "\u202e" in text) == (False, False)


def test_a_long_line_is_cut(tmp_path: Path) -> None:
    """A batch of thousands is shown as far as a reader follows."""
    run_dir = timelines.run_of(samples.invalid(), tmp_path / "run")
    [line] = [line for line in text_of(run_dir.root).splitlines() if line.startswith('{"')]
    assert len(line) <= MAX_LINE + 4


def test_a_function_has_no_command(tmp_path: Path) -> None:
    """Only Python can call it."""
    run_dir = timelines.run_of(samples.invalid(), tmp_path / "run")
    results, plan = read_results(run_dir), run_dir.read_plan()
    called = msgspec.structs.replace(plan, script=msgspec.structs.replace(plan.script, is_function=True))
    assert "resumable verify -" not in issue(results, results.cases[0], called, folder=run_dir.root)


def test_a_command_of_the_users_own_stays_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What starts the ranks is no file that one could attach."""
    run_dir = timelines.run_of(samples.invalid(), tmp_path / "run")
    script = Script(path="/usr/bin/torchrun", arguments=("train.py",), is_command=True)
    run_dir.write_plan(msgspec.structs.replace(run_dir.read_plan(), script=script))
    assert main(["issue", str(run_dir.root)]) == 1
    said = capsys.readouterr()
    assert (" -- /usr/bin/torchrun train.py\n```" in said.out, "attached" in said.err) == (True, False)


def test_the_command_prints_it_with_the_exit_code_of_the_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    """The text alone goes to standard output, so that it can be piped."""
    assert main(["issue", str(CORPUS / "epoch-restarted")]) == 1
    said = capsys.readouterr()
    assert (text_of(CORPUS / "epoch-restarted"), "to be attached: " in said.err) == (said.out, True)


@pytest.mark.parametrize(("name", "code", "word"), [("plain", 0, "VALID"), ("never-fired", 3, "UNKNOWN")])
def test_what_is_not_refuted_is_not_reported(
    name: str, code: int, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """UNKNOWN accuses nobody."""
    assert main(["issue", str(CORPUS / name)]) == code
    said = capsys.readouterr()
    assert (said.out, f"is {word}" in said.err, "nothing to report" in said.err) == ("", True, True)


def test_a_point_of_a_sweep_is_chosen_by_its_folder_or_its_faults(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a choice it is the worst cause."""
    for name in ("sigkill-step0005-rank1", "sigkill@step=5:rank=1"):
        main(["issue", str(CORPUS / "sweep"), "--scenario", name])
        assert "--fault sigkill@step=5:rank=1" in capsys.readouterr().out
    assert main(["issue", str(CORPUS / "sweep")]) == 1
    assert main(["issue", str(CORPUS / "sweep"), "--scenario", "mine"]) == 2
    assert "sigkill-step0005-rank1" in capsys.readouterr().err
