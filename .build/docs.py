"""The API reference out of docstrings, as pages that need no network: `python .build/docs.py FOLDER`."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

import pdoc

from resumable import launch

MODULES = (
    "resumable.launch",
    "resumable.samplers",
    r"!resumable[.](launch|samplers)[.].*",  # what is public stands in the two above
    "resumable.samplers.testing",
    "resumable.launch.api.pytest_plugin",
)


def write(folder: Path) -> None:
    """Write `index.html` and a page for each public module."""
    for name in launch.__all__:  # pdoc sees what was imported, and these wait until somebody asks
        setattr(launch, name, getattr(launch, name))
    pdoc.render.configure(docformat="google", footer_text=f"resumable {version('resumable')}")
    pdoc.pdoc(*MODULES, output_directory=folder)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
