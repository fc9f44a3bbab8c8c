from __future__ import annotations

import signal
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
