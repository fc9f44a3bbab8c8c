"""The sweep while it runs: the grid redrawn in a terminal, elsewhere a line when something has changed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from resumable.launch.explain.outcome import Outcome
from resumable.launch.judge.causes import kind_of
from resumable.launch.judge.verdict import Verdict
from resumable.launch.plan.plan import Scenario
from resumable.launch.sweep.grid_text import grid_lines
from resumable.launch.sweep.marks import AGAIN, OUTCOMES, RUNNING, Mark
from resumable.launch.system.text_safety import printable
from resumable.launch.system.wording import listed

_REDRAW_S = 0.2
_LINE_S = 5.0


class SweepDisplay:
    """Shows which points are done, which run, and how long the rest will take.

    Args:
        console: Redrawn only if it is a terminal.
        is_quiet: Show nothing.
    """

    def __init__(self, console: Console, *, is_quiet: bool) -> None:
        self._console = console
        self._is_quiet = is_quiet
        is_redrawn = console.is_terminal and not is_quiet
        self._live = Live(console=console, transient=True, auto_refresh=False) if is_redrawn else None
        self._points: Sequence[Scenario] = ()
        self._marks: dict[str, Mark] = {}
        self._followed: tuple[str, ...] = ()
        self._causes: set[tuple[str, ...]] = set()
        self._task = ""
        self._begin = time.monotonic()
        self._num_before = self._num_to_do = 0
        self._next_draw = 0.0
        self._printed: tuple[object, ...] = ()

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def begin(self, task: str, points: Sequence[Scenario] = (), marks: Mapping[str, Mark] | None = None) -> None:
        """Show a new task: what it is, the points of the grid, and those that are done already."""
        self._task = task
        self._points = points
        self._marks = dict(marks or {})
        self._followed = ()
        self._begin = time.monotonic()
        self._num_before = self._num_done
        again = sum(mark is AGAIN for mark in self._marks.values())
        self._num_to_do = again or len(points) - self._num_before
        self._next_draw = 0.0

    def mark(self, point: Scenario, mark: Mark) -> None:
        """Change one cell."""
        self._marks[point.name] = mark
        self._followed = tuple(name for name in self._followed if name != point.name)

    def enter(self, point: Scenario, verdict: Verdict) -> None:
        """Mark a point that has been judged; the first failure of every cause is printed, above what is redrawn."""
        self.mark(point, OUTCOMES[verdict.outcome])
        cause = kind_of(verdict)
        if verdict.outcome is not Outcome.VALID and not self._is_quiet and cause not in self._causes:
            self._causes.add(cause)
            faults = ", ".join(map(str, point.faults))
            words = printable(f"{verdict.outcome.upper()} after {faults}: {verdict.reason}")
            self._console.print(Text(words), soft_wrap=True)

    def show_under_way(self, names: Collection[str]) -> None:
        """Show the points that chains are at; one that was judged before stays done."""
        self._followed = tuple(names)

    def tick(self) -> None:
        """Draw it again, if it is time."""
        if self._is_quiet or time.monotonic() < self._next_draw:
            return
        line = self._line()
        if self._live is not None:
            self._next_draw = time.monotonic() + _REDRAW_S
            marks = self._marks | dict.fromkeys(self._followed, RUNNING)
            self._live.update(Group(*grid_lines(self._points, marks, self._console.width), line), refresh=True)
            return
        self._next_draw = time.monotonic() + _LINE_S
        state = (self._task, self._num_done, *self._under_way)
        if state != self._printed:  # a log is read later: the same line again tells nobody anything
            self._printed = state
            under_way = f"; under way: {listed(self._under_way)}" if self._under_way else ""
            self._console.print(line.append(under_way), soft_wrap=True)

    @property
    def _num_done(self) -> int:
        return sum(mark in OUTCOMES.values() for mark in self._marks.values())

    @property
    def _under_way(self) -> list[str]:
        return [*self._followed, *(name for name, mark in self._marks.items() if mark is RUNNING)]

    def _line(self) -> Text:
        counts = {outcome: num for outcome, mark in OUTCOMES.items() if (num := Counter(self._marks.values())[mark])}
        num_new = self._num_done - self._num_before
        return Text(
            status_line(
                self._task,
                counts,
                num_points=len(self._points),
                num_new=num_new,
                num_left=self._num_to_do - num_new,
                elapsed_s=time.monotonic() - self._begin,
            )
        )


def status_line(
    task: str, counts: Mapping[Outcome, int], *, num_points: int, num_new: int, num_left: int, elapsed_s: float
) -> str:
    """How far a task is, how fast it goes, and how long it will take.

    Args:
        task: What is done.
        counts: Points that are done, by outcome.
        num_points: All points, 0 if the task has none.
        num_new: Points done since the task began.
        num_left: Points that it is still to do.
        elapsed_s: Seconds since then.
    """
    num_done = sum(counts.values())
    parts = [f"{task}: under way for {duration(elapsed_s)}"]
    if num_points:
        outcomes = "".join(f", {num} {outcome.upper()}" for outcome, num in counts.items())
        parts = [f"{task}: {num_done} of {num_points}{outcomes}"]
    if num_new > 0:  # points that are tried again were done before
        rate = num_new / elapsed_s
        parts += [f"{rate:.2f} a second", f"{duration(num_left / rate)} left"]
    return "; ".join(parts)


def duration(seconds: float) -> str:
    """`0.8 s`, `42 s`, `2 min 5 s`, `1 h 3 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 1:
        return f"{rest} s"
    hours, minutes_rest = divmod(minutes, 60)
    return f"{minutes} min {rest} s" if hours < 1 else f"{hours} h {minutes_rest} min"
