"""The first stage, as Python runs it at the start of an interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import resumable
from resumable.launch.run.foreign_command import SITE

SOURCES = Path(resumable.__file__).parents[1]


def python(program: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**{k: v for k, v in os.environ.items() if k != "RESUMABLE_RECORD"}, **variables}
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )


def by_path_file(program: str) -> str:
    """The `.pth` file is read twice, as in a virtual environment."""
    return f"import site, sys; sys.path.insert(0, {str(SOURCES)!r}); site.addsitedir({str(SOURCES)!r}); " * 2 + program


PATH = os.pathsep.join([str(SITE), str(SOURCES)])
STEP = "import torch; m = torch.nn.Linear(1, 1); o = torch.optim.SGD(m.parameters()); m(torch.ones(1)).backward(); o.step()"
LOADED = (
    "print(sorted(m for m in sys.modules if m.split('.')[0] in ('resumable', 'torch', 'wrapt', 'msgspec', 'asyncio')))"
)


def test_nothing_is_loaded_unless_it_is_asked_for(tmp_path: Path) -> None:
    """One look at the environment."""
    assert python(by_path_file(LOADED), tmp_path, PYTHONPATH="").stdout == "[]\n"


def test_a_program_without_torch_gets_no_recorder(tmp_path: Path) -> None:
    """It is waited for, and does not come."""
    said = python(by_path_file(LOADED), tmp_path, PYTHONPATH="", RESUMABLE_RECORD=str(tmp_path / "run"))
    assert ("resumable.launch.worker.entering.hook" in said.stdout, "process" in said.stdout) == (True, False)
    assert [name for name in ("wrapt", "asyncio") if name in said.stdout] == []
    assert ("msgspec" in said.stdout, (tmp_path / "run").exists(), said.stderr) == (False, False, "")


@pytest.mark.parametrize("value", ["", "run"])
def test_the_environments_own_sitecustomize_is_run_too(tmp_path: Path, value: str) -> None:
    """The first of a name hides the others."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "sitecustomize.py").write_text("print('own')\n")
    path = os.pathsep.join([PATH, str(tmp_path / "own")])
    said = python("import sys; " + LOADED, tmp_path, PYTHONPATH=path, RESUMABLE_RECORD=value)
    assert (said.stdout.startswith("own\n"), "entering.hook" in said.stdout, said.stderr) == (True, True, ""), (
        said.stderr
    )


@pytest.mark.slow
def test_what_goes_wrong_is_one_line(tmp_path: Path) -> None:
    """A program that only imports torch does not suffer."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run").touch()
    said = python(STEP, tmp_path, PYTHONPATH=PATH, RESUMABLE_RECORD=str(tmp_path / "run"))
    assert (said.stderr.count("\n"), "is not recorded" in said.stderr) == (1, True)


@pytest.mark.parametrize("stream", ["open('/dev/full', 'w')", "None"])
def test_what_cannot_be_said_does_not_end_a_program(tmp_path: Path, stream: str) -> None:
    """Nor does it get among what the program prints."""
    (tmp_path / "run").touch()
    program = f"import sys; sys.stderr = {stream}; {STEP}; print('done')"
    assert python(program, tmp_path, PYTHONPATH=PATH, RESUMABLE_RECORD=str(tmp_path / "run")).stdout == "done\n"


def test_a_run_directory_is_for_its_owner_alone(tmp_path: Path) -> None:
    """Whatever the mask: the variable alone has it made."""
    run_dir = tmp_path / "a" / "run"
    python(f"import os; os.umask(0); {STEP}", tmp_path, PYTHONPATH=PATH, RESUMABLE_RECORD=str(run_dir))
    assert oct(run_dir.stat().st_mode & 0o777) == "0o700"
