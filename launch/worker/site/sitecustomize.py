"""Calls the recorder's hook in an interpreter in which this package is not installed; its folder stands in PYTHONPATH.

Python imports the first module of this name, so the environment's own is imported from here.
"""

import importlib.machinery
import importlib.util
import pathlib
import sys

_here = pathlib.Path(__file__).resolve().parent
_elsewhere = [entry for entry in sys.path if pathlib.Path(entry or ".").resolve() != _here]
_spec = importlib.machinery.PathFinder.find_spec("sitecustomize", _elsewhere)
if _spec is not None and _spec.loader is not None:
    _spec.loader.exec_module(importlib.util.module_from_spec(_spec))
if importlib.util.find_spec("resumable") is None:
    sys.path.append(str(_here.parents[3]))

try:
    from resumable.launch.worker.entering.hook import enter
except ImportError as _error:  # a release that is too old is installed, perhaps
    print(f"resumable: this process is not recorded: {_error}", file=sys.stderr)
else:
    enter()
