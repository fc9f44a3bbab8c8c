"""A command that is recorded gets each signal."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from tests.integration.waiting import wait_until

_WAITS = """
import pathlib, signal
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
pathlib.Path("ready").touch()
pathlib.Path("heard").write_text(str(bool(signal.sigtimedwait({signal.SIGINT}, 60))))
"""


def test_an_interrupt_that_we_alone_were_sent_is_handed_on(tmp_path: Path) -> None:
    """As from a CI system or `kill -INT`; a terminal sends it to the command itself."""
    command = (
        sys.executable,
        "-m",
        "resumable.launch",
        "record",
        "--run-dir",
        "run",
        "--",
        sys.executable,
        "-c",
        _WAITS,
    )
    with subprocess.Popen(command, cwd=tmp_path, start_new_session=True) as recording:
        wait_until((tmp_path / "ready").exists, timeout_s=60)
        recording.send_signal(signal.SIGINT)
    assert (recording.returncode, (tmp_path / "heard").read_text()) == (128 + signal.SIGINT, "True")
