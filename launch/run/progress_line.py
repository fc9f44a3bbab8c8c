"""Shows how far a run is while it goes on: one line that is redrawn in a terminal, one line a scenario elsewhere."""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from resumable.launch.evidence.growing_file import GrowingFile
from resumable.launch.evidence.run_dir import ScenarioDir

_STEP = b'"event":"step"'


class StepCounter:
    """Counts the steps that rank 0 has recorded so far, reading only what is new."""

    def __init__(self, scenario_dir: ScenarioDir) -> None:
        self._scenario_dir = scenario_dir
        self._files: dict[Path, GrowingFile] = {}
        self.num_steps = 0
        """Steps of all incarnations, those done again included."""

    def update(self) -> None:
        """Read on."""
        for path in self._scenario_dir.event_files(rank=0):
            file = self._files.setdefault(path, GrowingFile(path))
            self.num_steps += sum(_STEP in line for line in file.new_lines())

    @property
    def num_incarnations(self) -> int:
        """Incarnations of rank 0 so far."""
        return len(self._files)


class ProgressLine:
    """What one scenario is doing.

    Args:
        scenario_dir: Where its evidence appears.
        title: Its name.
        console: Redrawn only if it is a terminal.
        is_quiet: Show nothing.
    """

    def __init__(self, scenario_dir: ScenarioDir, title: str, console: Console, *, is_quiet: bool) -> None:
        self._counter = StepCounter(scenario_dir)
        self._title = title
        self._console = console
        self._is_quiet = is_quiet
        self._begin = time.monotonic()
        is_redrawn = console.is_terminal and not is_quiet
        self._live = Live(console=console, transient=True, auto_refresh=False) if is_redrawn else None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
        if not self._is_quiet:
            self._counter.update()
            self._console.print(self._text())

    def tick(self) -> None:
        """Draw it again, if this is a place where that makes sense."""
        if self._live is not None:
            self._counter.update()
            self._live.update(self._text(), refresh=True)

    def _text(self) -> Text:
        counter = self._counter
        restarts = max(0, counter.num_incarnations - 1)
        parts = [f"{counter.num_steps} steps", f"{restarts} restart{'' if restarts == 1 else 's'}"]
        return Text(f"{self._title:<12} {', '.join(parts)}, {time.monotonic() - self._begin:.1f} s", style="dim")
