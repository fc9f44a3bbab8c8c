"""Do the clocks run as evidence needs them?"""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise

from resumable.launch.doctor.finding import Finding, fail, ok, warn
from resumable.launch.doctor.probe import Subject

COARSE_NS = 1_000_000
DRIFT_S = 0.05

_NUM_READINGS = 2000
_WATCH_S = 0.5


def clock(_subject: Subject) -> Finding:
    """Does the monotonic clock never step back, and does the wall clock keep up with it?"""
    readings = [time.monotonic_ns() for _ in range(_NUM_READINGS)]
    wall, monotonic = time.time(), time.monotonic()
    time.sleep(_WATCH_S)
    drift_s = (time.time() - wall) - (time.monotonic() - monotonic)
    return judge_clock(readings_ns=readings, drift_s=drift_s)


def judge_clock(*, readings_ns: Sequence[int], drift_s: float) -> Finding:
    """Decide from readings of the monotonic clock and from what the wall clock gained on it meanwhile."""
    steps = [later - earlier for earlier, later in pairwise(readings_ns)]
    if min(steps) < 0:
        meaning = f"the monotonic clock steps back, by {-min(steps)} ns: timeouts and restart times mean nothing"
        return fail("clock", meaning, "choose a different clock source, or fix the virtual machine's")
    smallest = min((step for step in steps if step > 0), default=COARSE_NS + 1)
    if smallest > COARSE_NS:
        return warn(
            "clock", "the monotonic clock has no steps under 1 ms: times are rough", "choose a different clock source"
        )
    if abs(drift_s) > DRIFT_S:
        meaning = f"the wall clock is being set ({drift_s:+.2f} s against the monotonic one); torch dates errors by it"
        return warn("clock", meaning, "let it settle (chronyc tracking), and step it only at boot")
    return ok("clock", "steady; the skew between nodes cannot be seen from here (chronyc tracking on each shows it)")
