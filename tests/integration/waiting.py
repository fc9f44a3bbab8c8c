"""Waiting for something that other processes do."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(condition: Callable[[], bool], *, timeout_s: float, every_s: float = 0.05) -> None:
    """Return as soon as `condition` holds, which is asked that often; TimeoutError if it does not within `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout_s} s: {condition}")
        time.sleep(every_s)
