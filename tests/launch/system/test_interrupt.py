from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from resumable.launch.system.interrupt import Interrupted, signals_raise


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    before = signal.getsignal(signal.SIGHUP)
    yield
    signal.signal(signal.SIGHUP, before)


def test_a_hangup_that_was_ignored_stays_ignored() -> None:
    """As under nohup, and afterwards too."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with signals_raise():
        during = signal.getsignal(signal.SIGHUP)
    assert (during, signal.getsignal(signal.SIGHUP)) == (signal.SIG_IGN, signal.SIG_IGN)


def test_the_second_signal_has_its_own_effect() -> None:
    """Whoever asks twice is not asked to wait."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    with signals_raise():
        with pytest.raises(Interrupted, match="SIGHUP"):
            signal.raise_signal(signal.SIGHUP)
        during = [signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGTERM)]
    assert during == [signal.SIG_DFL] * 2


_ASKS = "from resumable.launch.system.interrupt import is_in_foreground; print('foreground:', is_in_foreground())"


@pytest.mark.parametrize("is_in_background", [False, True])
def test_a_terminal_sends_what_is_typed_to_the_group_in_its_foreground(*, is_in_background: bool) -> None:
    asks = f"import os; os.setpgid(0, 0); {_ASKS}" if is_in_background else _ASKS
    in_terminal = f"import pty, sys; pty.spawn([sys.executable, '-c', {asks!r}])"
    if is_in_background:  # a child of the terminal's first process may leave its group
        in_terminal = f"import pty, sys; pty.spawn(['sh', '-c', '\"$0\" -c \"$1\"; :', sys.executable, {asks!r}])"
    assert f"foreground: {not is_in_background}" in _printed(in_terminal)


def test_without_a_terminal_nothing_is_in_its_foreground() -> None:
    assert "foreground: False" in _printed(_ASKS)


def _printed(code: str) -> str:
    command = (sys.executable, "-c", code)
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True, start_new_session=True
    ).stdout
