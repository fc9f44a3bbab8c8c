"""What `resumable compose` writes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from resumable.launch.cli.main import main
from tests.import_graph import ROOT

NODE = "import resumable.launch.node.agent as agent, importlib.metadata as m; print(agent.__file__, m.version('resumable'))"


@pytest.fixture
def folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert main(["compose", str(tmp_path / "nodes")]) == 0
    assert f"docker build --tag resumable:local {tmp_path}/nodes\n" in capsys.readouterr().out
    return tmp_path / "nodes"


def test_the_compose_file_is_that_of_the_project(folder: Path) -> None:
    """There is one, wherever one has it from."""
    assert (ROOT / "docker/compose.yaml").read_text() == (folder / "compose.yaml").read_text()


def test_the_image_gets_all_that_is_written(folder: Path) -> None:
    """What the Dockerfile copies is there."""
    words = " ".join(re.findall(r"^COPY (.+) \S+$", (folder / "Dockerfile").read_text(), re.MULTILINE)).split()
    expected = {"Dockerfile", "compose.yaml", *(word for word in words if "[" not in word)}
    assert expected == {path.name for path in folder.iterdir()}


@pytest.mark.slow
def test_nodes_are_of_the_very_version_that_starts_them(folder: Path) -> None:
    """The copy runs by itself, and says which version it is."""
    package = folder / "package"
    environment = {**os.environ, "PYTHONPATH": str(package)}
    words = [sys.executable, "-P", "-c", NODE]
    printed = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=True).stdout
    assert [str(package / "resumable/launch/node/agent.py"), version("resumable")] == printed.split()


def test_requirements_are_what_is_installed(folder: Path) -> None:
    """To the last version; of torch what an index has."""
    pins = dict(line.split("==") for line in (folder / "requirements.txt").read_text().splitlines())
    assert {"torch": version("torch").partition("+")[0], "msgspec": version("msgspec")}.items() <= pins.items()
    assert [name for name in ("pytest", "ruff", "resumable") if name in pins] == []


def test_a_folder_that_holds_something_is_left_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody's changes are lost."""
    (folder / "Dockerfile").write_text("mine")
    assert main(["compose", str(folder)]) == 2
    assert ((folder / "Dockerfile").read_text(), "name a new folder" in capsys.readouterr().err) == ("mine", True)


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the reason."""
    (tmp_path / "file").touch()
    assert main(["compose", str(tmp_path / "file")]) == 2
    assert "cannot be written" in capsys.readouterr().err
