"""The recipes for continuous integration, tried as far as a machine without the service can: their own shell, real jobs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml

from resumable.launch.cli.main import main
from tests.import_graph import ROOT

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

ACTION = ROOT / ".github/actions/resume-check"
DEFINITION: dict[str, Any] = yaml.safe_load((ACTION / "action.yml").read_text())
PAGE = (ACTION / "README.md").read_text()
EXPRESSION = re.compile(r"\$\{\{ inputs\.([\w-]+) \}\}")
FORGETFUL = ', "loader": loader}', "}"
"""In the example for one process: what makes it forget where it was."""


@pytest.fixture
def repository(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A training script, and the command on the PATH as an installation puts it there."""
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin/resumable"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m resumable.launch "$@"\n')
    command.chmod(0o755)
    capsys.readouterr()
    main(["example", "plain"])
    (tmp_path / "train.py").write_text(capsys.readouterr().out)
    return tmp_path


def shell(script: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{folder}/bin:{os.environ['PATH']}", **variables}
    words = [
        "bash",
        "--noprofile",
        "--norc",
        "-eo",
        "pipefail",
        "-c",
        script,
    ]  # as GitHub's and GitLab's runners call it
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=580, check=False)


def action(folder: Path, **inputs: str) -> subprocess.CompletedProcess[str]:
    """The step of the action that runs something, with the variables that GitHub sets."""
    [step] = [step for step in DEFINITION["runs"]["steps"] if "run" in step]
    given = {name: str(inputs.get(name, facts.get("default", ""))) for name, facts in DEFINITION["inputs"].items()}
    variables = {name: EXPRESSION.sub(lambda match: given[match[1]], value) for name, value in step["env"].items()}
    (folder / "summary").touch()
    return shell(
        step["run"],
        folder,
        **variables,
        CI="true",
        GITHUB_ACTIONS="true",
        GITHUB_ACTION_PATH=str(ACTION),
        GITHUB_OUTPUT=str(folder / "output"),
        GITHUB_STEP_SUMMARY=str(folder / "summary"),
        GITHUB_WORKSPACE=str(folder),
    )


def block(language: str, place: int = 0) -> str:
    """A block of code of the page."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[place]


def shortened(script: str) -> str:
    """Without what is installed, one rank, and one point: all else is as it stands."""
    lines = [line for line in script.splitlines() if not line.startswith("pip ")]
    text = "\n".join(lines).replace("--nproc-per-node 2", "--nproc-per-node 1").replace("--sample 12", "--sample 1")
    return text.replace("--budget 120s", "--budget 580s")


def test_a_job_that_resumes_passes_the_action(repository: Path) -> None:
    """Its summary says so, and nothing is annotated."""
    ended = action(repository, script="train.py", arguments="--epochs 2", options="--nproc-per-node 1")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert (repository / "output").read_text() == "verdict=valid\n"
    assert (repository / "summary").read_text().startswith("## Resume VALID: <code>")
    assert "::error" not in ended.stdout


def test_a_job_that_does_not_fails_it_with_all_that_is_needed_to_see_why(repository: Path) -> None:
    """Summary, annotation, report and a bundle that is judged elsewhere as it was here; no checkpoint is sent."""
    source = (repository / "train.py").read_text()
    assert source.count(FORGETFUL[0]) == 1
    (repository / "train.py").write_text(source.replace(*FORGETFUL))
    ended = action(repository, script="train.py", options="--nproc-per-node 1 --fault sigkill@step=7:rank=0")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert (repository / "output").read_text() == "verdict=invalid\n"
    assert "from its first batch" in (repository / "summary").read_text()
    assert re.search(r"^::error file=train\.py,line=1", ended.stdout, re.MULTILINE)
    files = {path.name for path in (repository / "resume-check").iterdir()}
    assert files == {"summary.md", "report.html", "junit.xml", "bundle.zip"}
    assert shell("resumable check -q resume-check/bundle.zip", repository).stdout.startswith("INVALID")


def test_a_mistake_in_the_inputs_is_no_verdict(repository: Path) -> None:
    """And what stands in an input is never run."""
    ended = action(repository, script="train.py", options="--fault sigkill@step=x $(touch run-by-shell) ;touch too")
    assert (ended.returncode, (repository / "output").exists()) == (2, False)
    assert not list(repository.glob("*run-by-shell*")) + list(repository.glob("too"))


def test_the_action_keeps_its_evidence_where_it_is_not_valid() -> None:
    """Of a run that was never begun there is none, and that is no second error."""
    [upload] = [step for step in DEFINITION["runs"]["steps"] if "uses" in step]
    assert ("always()" in upload["if"], "!= 'valid'" in upload["if"]) == (True, True)
    assert upload["with"]["if-no-files-found"] == "ignore"


def test_the_workflow_of_the_page_gives_the_action_what_it_takes() -> None:
    """Before a merge, and at night."""
    jobs = yaml.safe_load(block("yaml"))["jobs"]
    given = [step["with"] for job in jobs.values() for step in job["steps"] if "resume-check" in step.get("uses", "")]
    assert (len(given), set().union(*given) - set(DEFINITION["inputs"])) == (2, set())


@pytest.mark.parametrize(
    ("schema", "text", "right", "wrong"),
    [
        ("vendor.github-workflows", block("yaml"), "runs-on:", "runs_on:"),
        ("vendor.github-actions", (ACTION / "action.yml").read_text(), "using: composite", "using: compost"),
        ("vendor.gitlab-ci", block("yaml", 1), "when: always", "when: ever"),
    ],
    ids=["workflow", "action", "gitlab"],
)
def test_recipes_follow_the_published_schemas(schema: str, text: str, right: str, wrong: str, tmp_path: Path) -> None:
    """Those by which GitHub and GitLab read them, which refuse a wrong word."""
    pytest.importorskip("check_jsonschema", reason="RECIPES NOT COMPARED: check-jsonschema is not installed")
    assert text.count(right) > 0
    assert [follows(schema, form, tmp_path / "recipe.yml") for form in (text, text.replace(right, wrong))] == [0, 1]


def follows(schema: str, text: str, file: Path) -> int:
    file.write_text(text)
    words = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(file)]
    return subprocess.run(words, capture_output=True, text=True, timeout=120, check=False).returncode


def test_the_recipe_for_gitlab_leaves_what_it_names(repository: Path) -> None:
    """Its JUnit file has a test for each point."""
    job = yaml.safe_load(block("yaml", 1))["resume"]
    ended = shell(shortened("\n".join(job["script"])), repository, CI="true", GITLAB_CI="true")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert len(ET.parse(repository / job["artifacts"]["reports"]["junit"]).findall(".//testcase")) == 1
    assert [name for name in job["artifacts"]["paths"] if not (repository / name).exists()] == []


@pytest.mark.thorough  # the recipe for GitLab is run as it stands too
def test_the_recipe_for_make_ends_as_the_command_does(repository: Path) -> None:
    """make stops at what is not VALID."""
    (repository / "Makefile").write_text(shortened(block("make")))
    ended = shell("make resume-check", repository, MAKEFLAGS="")
    assert (ended.returncode, (repository / "resume.html").exists()) == (0, True), ended.stdout + ended.stderr
