"""How a probe is run: it may throw, and it may hang, and neither stops the others."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from resumable.launch.doctor.finding import Finding, unknown

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What the machine is to run."""

    nproc_per_node: int
    run_dir: Path
    """Where evidence will go; it need not be there yet."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """One question to this machine."""

    name: str
    ask: Callable[[Subject], Finding]
    """Measures and decides; its finding carries the same name."""
    timeout_s: float | None = 10.0
    """None: it keeps to limits of its own and has something to clean up, so it runs in the caller's thread, where a
    signal that ends the command reaches it."""


@dataclass(frozen=True, kw_only=True)
class Timed(Generic[_T]):
    """What came of a call that was given a time limit."""

    value: _T | None = None
    error: Exception | None = None
    is_late: bool = False
    """The limit passed; the call may still be running."""
    time_s: float


def examine(probe: Probe, subject: Subject) -> Finding:
    """Ask one probe; an error or a silence becomes a finding that says so."""
    if probe.timeout_s is None:
        return _asked(probe, subject)
    answer = within(probe.timeout_s, lambda: _asked(probe, subject))
    return answer.value or unknown(probe.name, f"no answer within {probe.timeout_s:g} s")


def _asked(probe: Probe, subject: Subject) -> Finding:
    try:
        return probe.ask(subject)
    except Exception as error:  # a probe that breaks must not hide what the others find, and says nothing itself
        return unknown(probe.name, f"the probe itself failed: {type(error).__name__}: {error}")


def within(limit_s: float, call: Callable[[], _T]) -> Timed[_T]:
    """Call a function in a thread of its own, and leave it behind if it takes too long."""
    results: queue.SimpleQueue[_T | Exception] = queue.SimpleQueue()

    def run() -> None:
        try:
            results.put(call())
        except Exception as error:  # whatever it is, it belongs to the call and is handed to who asked
            results.put(error)

    begin = time.monotonic()
    threading.Thread(target=run, daemon=True).start()
    try:
        result = results.get(timeout=limit_s)
    except queue.Empty:
        return Timed(is_late=True, time_s=time.monotonic() - begin)
    time_s = time.monotonic() - begin
    return Timed(error=result, time_s=time_s) if isinstance(result, Exception) else Timed(value=result, time_s=time_s)
