"""Runs the user's script in this interpreter as `__main__`, as `python script.py` or `python -m module` would."""

from __future__ import annotations

import builtins
import runpy
import sys
import traceback
import types
import zipfile
from pathlib import Path

from resumable.launch.evidence import function_call
from resumable.launch.plan.plan import Script


def run_script(script: Script) -> None:
    """Run it to its end; whatever it raises comes through, `SystemExit` included."""
    # A fork server gives its children another one, in which there is nothing.
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - as long as the process
    if script.is_function:
        function_call.run_call(Path(script.path))
        return
    if script.is_module:
        sys.path.insert(0, script.folder or str(Path.cwd()))
        sys.argv = [script.path, *script.arguments]
        runpy.run_module(script.path, run_name="__main__", alter_sys=True)
        return
    sys.argv = [script.path, *script.arguments]
    if Path(script.path).is_dir() or zipfile.is_zipfile(script.path):
        runpy.run_path(script.path, run_name="__main__")
        return
    sys.path.insert(0, str(Path(script.path).resolve().parent))
    main = types.ModuleType("__main__")
    main.__dict__.update(__file__=script.path, __builtins__=builtins, __cached__=None)
    # Unlike with runpy.run_path, the module stays: what the script registers for the exit still finds its globals.
    sys.modules["__main__"] = main
    exec(compile(Path(script.path).read_bytes(), script.path, "exec"), main.__dict__)


def print_script_traceback(error: BaseException) -> None:
    """Print a traceback that begins in the user's script, as the interpreter's own would; none if it never began."""
    first = error.__traceback__
    while first is not None and _is_ours(first.tb_frame.f_code.co_filename):
        first = first.tb_next
    traceback.print_exception(type(error), error, first)


def _is_ours(file: str) -> bool:
    return file.startswith((str(Path(__file__).parent), function_call.__file__, "<frozen runpy>"))
