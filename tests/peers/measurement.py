"""Hits one stack where a cell says; what is not right is done again on plain processes before anybody is accused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path

from resumable.launch import JobResult, Launcher
from resumable.launch.judge.causes import kind_of
from resumable.launch.judge.verdict import Verdict
from resumable.launch.plan.plan import StartMethod
from resumable.launch.sweep.confirmation import Which, confirmed
from tests.import_graph import ROOT
from tests.peers.catalogue import SCRIPTS, Stack
from tests.peers.cells import NUM_RANKS, Cell
from tests.peers.scoreboard import Result


def measured(stack: Stack, cells: Sequence[Cell], folder: Path, *, again: Which = "each") -> Iterator[Result]:
    """The cells of one row, one after another; those of one form of the job are compared with the same undisturbed runs.

    Args:
        stack: Of the row.
        cells: Those that are wanted.
        folder: Gets the evidence.
        again: Which of those that are not right are done again on plain processes: each, or one of every cause.
    """
    witnesses: dict[tuple[str, ...], Result] = {}
    with _launcher(stack, folder) as nodes:

        @cache
        def undisturbed(arguments: tuple[str, ...]) -> list[JobResult]:
            return [_run(nodes, stack, arguments) for _ in range(2)]

        for cell in cells:
            references = undisturbed(cell.arguments)
            warm = nodes if cell.ranks_after is None else _launcher(stack, folder, cell.ranks_after)
            first = _run(warm, stack, cell.arguments, cell.faults).check(against=references)
            witness = witnesses.get(kind_of(first)) if again == "cause" else None
            final: Verdict = first
            if not first and witness is None:
                plain = _launcher(stack, folder, cell.ranks_after, start_method="subprocess")
                repeated = _run(plain, stack, cell.arguments, cell.faults).check(against=references)
                final = confirmed(first, repeated)
            result = Result(
                stack=stack.name,
                cell=cell.name,
                outcome=final.outcome,
                confirmation=witness.confirmation if witness else final.confirmation,
                witness=witness.cell if witness else "",
                reason=final.reason.replace(f"{ROOT}/", ""),
                repeat=first.repeat.replace(f"{ROOT}/", ""),
                versions={name: version(name) for name in stack.packages},
            )
            if final.confirmation == "both":
                witnesses[kind_of(first)] = result
            yield result


def _launcher(
    stack: Stack, folder: Path, ranks_after: int | None = None, *, start_method: StartMethod = "forkserver"
) -> Launcher:
    return Launcher(
        NUM_RANKS,
        root=folder,
        content=True,
        start_method=start_method,
        preload=stack.preload,
        restart=None if ranks_after is None else "job",
        restart_nproc_per_node=ranks_after,
    )


def _run(launcher: Launcher, stack: Stack, arguments: Sequence[str], faults: Sequence[str] = ()) -> JobResult:
    way = [stack.way] if stack.way else []
    return launcher.run(SCRIPTS / stack.script, *way, *arguments, faults=faults)
