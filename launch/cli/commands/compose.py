"""`resumable compose`: what is needed for nodes that are containers, for whoever installed by pip."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from rich.console import Console

from resumable.launch.cluster.image_folder import write_image_folder
from resumable.launch.explain.outcome import ExitCode
from resumable.launch.plan.options import DEFAULT_IMAGE


def compose(arguments: argparse.Namespace, console: Console) -> int:
    """Write the folder, and say what to do with it."""
    write_image_folder(Path(arguments.folder))
    folder = shlex.quote(arguments.folder)
    for line in (
        f"written: {folder}; PIP_OPTIONS and BASE are explained in its Dockerfile",
        f"  docker build --tag {DEFAULT_IMAGE} {folder}",
        "  resumable verify --cluster compose --nnodes 3 --fault 'nodeloss(replace=1)@step=7:node=1' train.py",
        f"to give containers more: change {folder}/compose.yaml, and name it with --compose-file {folder}/compose.yaml",
    ):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    return ExitCode.VALID
