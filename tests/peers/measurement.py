"""Hits one stack where a cell says; what is not right is done again on plain processes before anybody is accused."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

from resumable import launch
from resumable.launch import Launcher
from resumable.launch.api.shared_references import SharedReferences
from resumable.launch.judge.verdict import Verdict
from resumable.launch.plan.plan import StartMethod
from resumable.launch.sweep.confirmation import confirmed
from tests.import_graph import ROOT
from tests.peers.catalogue import SCRIPTS, Stack
from tests.peers.cells import NUM_RANKS, Cell
from tests.peers.scoreboard import Result


def measured(stack: Stack, cells: Sequence[Cell], folder: Path) -> Iterator[Result]:
    """The cells of one row, one after another.

    Args:
        stack: Of the row.
        cells: Those that are wanted; with and without a change of the number of ranks.
        folder: Gets the evidence; what lies there of undisturbed runs is used again.
    """
    for ranks_after in dict.fromkeys(cell.ranks_after for cell in cells):
        wanted = [cell for cell in cells if cell.ranks_after == ranks_after]
        with contextlib.ExitStack() as nodes:
            warm = nodes.enter_context(_launcher(stack, folder, ranks_after))
            for cell in wanted:
                first = _verdict(warm, stack, cell, folder / "warm")
                final: Verdict = first
                if not first:
                    plain = _launcher(stack, folder, ranks_after, start_method="subprocess")
                    final = confirmed(first, _verdict(plain, stack, cell, folder / "plain"))
                yield Result(
                    stack=stack.name,
                    cell=cell.name,
                    outcome=final.outcome,
                    confirmation=final.confirmation,
                    reason=final.reason.replace(f"{ROOT}/", ""),
                    repeat=first.repeat.replace(f"{ROOT}/", ""),
                    versions={name: version(name) for name in stack.packages},
                )


def _launcher(
    stack: Stack, folder: Path, ranks_after: int | None, *, start_method: StartMethod = "forkserver"
) -> Launcher:
    return Launcher(
        NUM_RANKS,
        root=folder / "runs",
        content=True,
        start_method=start_method,
        preload=stack.preload,
        restart=None if ranks_after is None else "job",
        restart_nproc_per_node=ranks_after,
        hang_timeout=60,
    )


def _verdict(launcher: Launcher, stack: Stack, cell: Cell, references: Path) -> launch.Verdict:
    arguments = [*([stack.way] if stack.way else []), *cell.arguments]
    return launcher.verify_with(SharedReferences(references), SCRIPTS / stack.script, arguments, {}, cell.faults)
