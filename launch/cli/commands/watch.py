"""`resumable watch`: how far a run is that goes on somewhere else."""

from __future__ import annotations

import argparse
import contextlib
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from resumable.launch.evidence.bundle import opened
from resumable.launch.evidence.recorded_runs import is_begun, stored_plan
from resumable.launch.evidence.run_dir import RUNS, RunDir, newest_run
from resumable.launch.explain.outcome import ExitCode
from resumable.launch.plan.plan import Plan, Scenario, on_plain_processes
from resumable.launch.reading.live_progress import RunProgress, num_steps_of
from resumable.launch.report.progress_table import progress_line, progress_table
from resumable.launch.sweep.display import status_line
from resumable.launch.sweep.grid_text import grid_lines
from resumable.launch.sweep.marks import AGAIN, OUTCOMES, RUNNING, Mark
from resumable.launch.sweep.verdict_store import VerdictStore
from resumable.launch.system.standard_streams import complain
from resumable.launch.system.wording import shown

_REDRAW_S = 0.5
_TABLE_WIDTH = 80
"""Columns below which a table would hide what it shows."""
_LINES_S = 5.0
"""Between two looks where every change is a new line."""


def watch(arguments: argparse.Namespace, console: Console) -> int:
    """Show a run until it is over, or once as it is now. It proves nothing: the exit code is 0."""
    root = Path(arguments.run_dir)
    with contextlib.suppress(KeyboardInterrupt):
        if not arguments.once and _may_be_made(root):
            _wait_for(RunDir(root=root))
        with opened(root) as run_dir:
            watcher = _Watcher(run_dir, console.width)
            is_once = arguments.once or run_dir.source is not None  # in a bundle nothing goes on
            is_redrawn = console.is_terminal and not is_once
            (_redraw if is_redrawn else _print_changes)(watcher, console, is_once=is_once)
            if run_dir.verdict_file.exists():
                console.print(f"it is over: resumable check {shown(run_dir.name)}", highlight=False, soft_wrap=True)
    return ExitCode.VALID


def _may_be_made(root: Path) -> bool:
    """Whether nothing has this name yet, or a folder with nothing in it."""
    try:
        return not any(root.iterdir())
    except FileNotFoundError:
        return True
    except (OSError, ValueError):  # a file, or a name that nothing can have
        return False


def _wait_for(run_dir: RunDir) -> None:
    newest = newest_run(RUNS)
    hint = "" if newest is None else f"; the newest here is {newest}"
    complain(f"waiting for {run_dir.root}, which is not there yet{hint}")
    while not is_begun(run_dir):
        time.sleep(_REDRAW_S)


class _Look(msgspec.Struct, frozen=True, kw_only=True):
    """A run at one moment."""

    drawing: RenderableType
    lines: tuple[str, ...]
    """The same in words."""
    is_over: bool


def _redraw(watcher: _Watcher, console: Console, *, is_once: bool) -> None:
    with Live(console=console, auto_refresh=False) as live:
        while True:
            look = watcher.look()
            live.update(look.drawing, refresh=True)
            if look.is_over or is_once:
                return
            time.sleep(_REDRAW_S)


def _print_changes(watcher: _Watcher, console: Console, *, is_once: bool) -> None:
    """Lines that are the same as before tell nobody anything."""
    printed: tuple[str, ...] = ()
    while True:
        look = watcher.look()
        for line in look.lines:
            if line not in printed:
                console.print(Text(line), soft_wrap=True)
        printed = look.lines
        if look.is_over or is_once:
            return
        time.sleep(_LINES_S)


class _Watcher:
    """Looks at a run: at its ranks, or at the grid of a sweep that has its points.

    Args:
        run_dir: Of any command.
        width: Columns that a line may take.
    """

    def __init__(self, run_dir: RunDir, width: int) -> None:
        self._run_dir = run_dir
        self._width = width
        self._runs: dict[str, RunProgress] = {}
        self._begin = time.monotonic()
        self._num_before: int | None = None

    def look(self) -> _Look:
        """How it is now."""
        plan = stored_plan(self._run_dir)
        is_judged = self._run_dir.verdict_file.exists()  # before what may change until it is read
        return self._of_sweep(plan, is_judged) if plan.sweep and plan.points else self._of_ranks(plan, is_judged)

    def _of_ranks(self, plan: Plan, is_judged: bool) -> _Look:
        begun = [(scenario.name, self._follow(scenario)) for scenario in plan.scenarios if self._has_begun(scenario)]
        if not begun:
            return _Look(drawing=Text("not begun yet"), lines=("not begun yet",), is_over=is_judged)
        name, progress = begun[-1]
        references = [self._runs[one.name] for one in plan.references if one.name in self._runs]
        total = next((num for one in references if (num := num_steps_of(one)) is not None), None)
        is_last = plan.sweep is None and name == plan.scenarios[-1].name
        lines = tuple(progress_line(name, rank, total) for rank in progress.ranks)
        is_wide = self._width >= _TABLE_WIDTH
        return _Look(
            drawing=progress_table(name, progress.ranks, total) if is_wide else Text("\n".join(lines)),
            lines=lines,
            is_over=is_judged or (is_last and (progress.is_over or progress.has_succeeded)),
        )

    def _has_begun(self, scenario: Scenario) -> bool:
        return bool(self._run_dir.scenario(scenario.name).event_files())

    def _follow(self, scenario: Scenario) -> RunProgress:
        progress = self._runs.setdefault(scenario.name, RunProgress(self._run_dir.scenario(scenario.name)))
        if not progress.is_over:
            progress.update()
        return progress

    def _of_sweep(self, plan: Plan, is_judged: bool) -> _Look:
        marks = {point.name: mark for point in plan.points if (mark := self._mark(point)) is not None}
        counts = Counter(outcome for outcome, look in OUTCOMES.items() for mark in marks.values() if mark is look)
        self._num_before = counts.total() if self._num_before is None else self._num_before
        line = status_line(
            "points",
            counts,
            num_points=len(plan.points),
            num_new=counts.total() - self._num_before,
            num_left=len(plan.points) - counts.total(),
            elapsed_s=time.monotonic() - self._begin,
        )
        grid: Sequence[Text] = grid_lines(plan.points, marks, self._width)
        return _Look(drawing=Group(*grid, Text(line)), lines=(*map(str, grid), line), is_over=is_judged)

    def _mark(self, point: Scenario) -> Mark | None:
        store, again = VerdictStore(self._run_dir), on_plain_processes(point)
        verdict = store.find(point)
        if verdict is not None:
            is_again = self._has_begun(again) and not store.is_done(again)
            return AGAIN if is_again else OUTCOMES[verdict.outcome]
        return RUNNING if self._has_begun(point) else None
