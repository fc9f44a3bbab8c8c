"""A script finds itself and what lies beside it where Python would let it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

RUN = """
import sys
from resumable.launch.plan.plan import Script
from resumable.launch.worker.script import run_script
run_script(Script(path=sys.argv[1], arguments=("--epochs", "3")))
"""
SHOW = """
import sys
from resumable.launch.worker.script import print_script_traceback
sys.excepthook = lambda kind, error, place: print_script_traceback(error.with_traceback(place.tb_next))
"""
LOOK = "import beside, sys; print(__name__, sys.path[0], sys.argv)"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder that can be run, with a script in it."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "beside.py").touch()
    for name in ("train.py", "__main__.py"):
        (folder / name).write_text(LOOK)
    return folder


def linked(project: Path) -> Path:
    link = project.parent / "linked.py"
    link.symlink_to(project / "train.py")
    return link


def zipped(project: Path) -> Path:
    file = project.parent / "project.pyz"
    with zipfile.ZipFile(file, "w") as archive:
        for source in project.iterdir():
            archive.write(source, source.name)
    return file


@pytest.mark.parametrize("kind", [lambda project: project / "train.py", linked, lambda project: project, zipped])
def test_a_script_sees_what_it_sees_under_python(project: Path, kind) -> None:
    """Its name, its arguments, and where modules are looked for first: for a link, where the real file lies."""
    path = str(kind(project))
    ours, pythons = (
        subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True).stdout
        for words in (["-P", "-c", RUN, path], [path, "--epochs", "3"])
    )
    assert ours == pythons


def test_a_script_that_is_no_python_is_shown_without_us(tmp_path: Path) -> None:
    """As by the interpreter, which has read none of it."""
    (tmp_path / "train.py").write_text("def f(:\n")
    words = [sys.executable, "-P", "-c", SHOW + RUN, tmp_path / "train.py"]
    shown = subprocess.run(words, capture_output=True, text=True, check=False).stderr
    assert shown.splitlines()[0].strip() == f'File "{tmp_path / "train.py"}", line 1'
