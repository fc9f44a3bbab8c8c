"""Times of several machines on one axis.

CLOCK_MONOTONIC counts from the start of a machine: between two of them it says nothing. What holds on all of them is that
the processes of one incarnation start together, and after those of the one before.
"""

from __future__ import annotations

from collections.abc import Sequence

from resumable.launch.evidence.history import Process
from resumable.launch.reading.lives import Life, Run


class Clocks:
    """Where each machine's clock stands when the axis begins.

    Args:
        runs: That lie on the axis, in the order in which they were run.
    """

    def __init__(self, *runs: Run) -> None:
        self._zeros: dict[str, int] = {}
        self._latest = 0
        for run in runs:
            self.add(run)

    def add(self, run: Run) -> None:
        """Put a further run on the axis."""
        for incarnation in run.history.incarnations:
            self._align(run.history.group(incarnation))

    def _align(self, group: Sequence[Process]) -> None:
        """A machine that is new starts with those that are known, or after all that was before."""
        starts: dict[str, int] = {}
        for process in group:
            host = process.start.host
            starts[host] = min(process.start.time_ns, starts.get(host, process.start.time_ns))
        known = [start - self._zeros[host] for host, start in starts.items() if host in self._zeros]
        begin = min(known, default=self._latest)
        for host, start in starts.items():
            self._zeros.setdefault(host, start - begin)
        ends = (process.records[-1].time_ns - self._zeros[process.start.host] for process in group)
        self._latest = max([self._latest, *ends])

    def us(self, time_ns: int, life: Life | None = None) -> float:
        """Microseconds since the axis began.

        Args:
            time_ns: On the clock of a process's machine.
            life: The process; None for what the command itself saw, on the machine where it ran.
        """
        host = life.process.start.host if life is not None else ""
        return (time_ns - self._zeros.get(host, next(iter(self._zeros.values()), 0))) / 1000
