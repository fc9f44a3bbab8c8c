"""Finds what the ranks will run, before anything starts."""

from __future__ import annotations

import difflib
import importlib.util
import os
import shlex
from pathlib import Path

from resumable.launch.errors import ScriptNotFoundError
from resumable.launch.plan.plan import BUILT_IN_JOB, Script


def built_in_job(*arguments: str) -> Script:
    """The job that comes with the launcher."""
    return Script(path=BUILT_IN_JOB, arguments=arguments, is_module=True)


def refuse_missing_data() -> None:
    """The built-in job learns digits that come with scikit-learn.

    Raises:
        ScriptNotFoundError: it is not installed.
    """
    if importlib.util.find_spec("sklearn") is None:
        raise ScriptNotFoundError(
            "the built-in job needs scikit-learn, for its data: pip install scikit-learn; or name a script of your own"
        )


def script_file(path: str | os.PathLike[str], arguments: tuple[str, ...]) -> Script:
    """A Python file, or a folder with a `__main__.py`.

    Raises:
        ScriptNotFoundError: it is neither.
    """
    file = Path(path).absolute()
    if file.suffix == ".ipynb":
        raise ScriptNotFoundError(
            f"script {os.fspath(path)!r} is a notebook; make a script of it: "
            f"jupyter nbconvert --to script {shlex.quote(os.fspath(path))}"
        )
    if not file.is_file() and not (file / "__main__.py").is_file():
        reason = "is a folder without __main__.py" if file.is_dir() else f"does not exist{_nearest(Path(path))}"
        raise ScriptNotFoundError(f"script {os.fspath(path)!r} {reason}")
    return Script(path=str(file), arguments=arguments)


def _nearest(file: Path) -> str:
    """The script beside it whose name is most like its own, as a question."""
    names = [path.name for path in file.parent.glob("*.py")]
    nearest = difflib.get_close_matches(file.name, names, n=1)
    return f"\ndid you mean: {file.with_name(nearest[0])}" if nearest else ""


def script_module(name: str, arguments: tuple[str, ...]) -> Script:
    """A module, looked for in this folder first, as by `python -m`.

    Raises:
        ScriptNotFoundError: it is neither here nor installed.
    """
    top = name.partition(".")[0]
    if importlib.util.find_spec(top) is None and not (Path(top).is_dir() or Path(f"{top}.py").is_file()):
        raise ScriptNotFoundError(f"module {name!r} is not installed and not in this folder")
    return Script(path=name, arguments=arguments, is_module=True, folder=str(Path.cwd()))
