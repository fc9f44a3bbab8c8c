"""Signals that ask the command to end, as an exception."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_USUAL = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal asked this process to end."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


@contextmanager
def signals_raise(*signals: signal.Signals) -> Iterator[None]:
    """Let these signals raise `Interrupted` once; a second one ends the process at once.

    SIGHUP stays ignored where it was, as under `nohup`: the job is meant to outlive its terminal.

    Args:
        signals: None: SIGINT, SIGTERM and SIGHUP.
    """

    def interrupt(signum: int, _frame: FrameType | None) -> None:
        for number in previous:
            signal.signal(number, signal.SIG_DFL)
        raise Interrupted(signum)

    previous = {number: signal.getsignal(number) for number in signals or _USUAL}
    if previous.get(signal.SIGHUP) is signal.SIG_IGN:
        del previous[signal.SIGHUP]
    for number in previous:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def is_in_foreground() -> bool:
    """Whether a terminal sends what is typed on it (Ctrl-C) to this process and to all of its process group."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
