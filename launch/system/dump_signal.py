"""The signal on which a rank writes down where it stands; shared by the node that sends it and the rank that gets it."""

from __future__ import annotations

import signal

DUMP_SIGNAL = signal.SIGRTMIN + 7
"""A real-time signal: schedulers announce a preemption with SIGUSR1 and SIGUSR2, which belong to the script."""
