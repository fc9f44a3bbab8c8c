"""Where ranks and their loader workers stand: asks them, and reads what faulthandler writes."""

from __future__ import annotations

import contextlib
import re
import sysconfig
import time
from collections.abc import Mapping
from pathlib import Path, PurePath

import psutil

from resumable.launch.node.rank_processes import kill
from resumable.launch.system.dump_signal import DUMP_SIGNAL
from resumable.launch.system.processes import is_running

_TIMEOUT_S, _POLL_S = 2.0, 0.02
_HEADING = "most recent call first"
_FRAME = re.compile(r'^  File "(?P<path>[^"]+)", line (?P<line>\d+)', re.MULTILINE)
_COLLECTIVES = "/torch/distributed/distributed_c10d.py"
_CALLS_INTO_C = ("/torch/distributed/", "/torch/nn/parallel/distributed.py", "in _engine_run_backward")
"""Innermost frames within which C++ may wait for other ranks; with a frame further in, that one is where it stands."""
_NOT_THE_JOBS = tuple(
    sorted(
        {*(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")), str(Path(__file__).parents[1]), "<"}
    )
)
"""Folders of code that the job was not written with: Python's, those of installed packages, ours; `<frozen runpy>`."""


def is_waiting(stacks: str) -> bool:
    """Whether faulthandler's text shows a main thread in a collective: called by name, or by DDP within C++."""
    main = _main_thread(stacks)
    innermost = next((line for line in main.splitlines() if line.startswith("  File")), "")
    return _COLLECTIVES in main or any(place in innermost for place in _CALLS_INTO_C)


def job_place(stacks: str) -> str:
    """The innermost line of the job's own code in the main thread, as `train.py:19`; "" if there is none."""
    frames = _FRAME.finditer(_main_thread(stacks))
    own = (
        frame for frame in frames if not frame["path"].startswith(_NOT_THE_JOBS) and "/resumable/" not in frame["path"]
    )
    return next((f"{PurePath(frame['path']).name}:{frame['line']}" for frame in own), "")


def _main_thread(stacks: str) -> str:
    """The last one in the text."""
    return stacks.rpartition(_HEADING)[2]


def dump_stacks(pids: Mapping[Path, int]) -> dict[Path, str]:
    """Ask processes where they stand; those that are stopped cannot answer, those that never said they would are not asked.

    Args:
        pids: Each with the file that it answers in.

    Returns:
        Who answered, and what.
    """
    asked = [file for file, pid in pids.items() if file.exists() and not is_stopped(pid)]
    for file in asked:
        kill(pids[file], DUMP_SIGNAL)
    _await_more(dict.fromkeys(asked, 0), timeout_s=_TIMEOUT_S)
    texts = {file: file.read_text(errors="replace") for file in asked}
    return {file: text for file, text in texts.items() if text}


def dump_stacks_of_children(file: Path, pid: int) -> None:
    """Let those that a rank has forked, its loader workers for example, add to its file where they stand.

    One after the other, so that their answers do not mix. Who does not expect the signal would be ended by it.
    """
    deadline = time.monotonic() + _TIMEOUT_S
    for child in _children(pid) if file.exists() else ():
        if time.monotonic() < deadline and _expects(child.pid) and not is_stopped(child.pid):
            with file.open("a") as text:
                text.write(f"\nProcess {child.pid}, started by the one above:\n")
            size = file.stat().st_size
            kill(child.pid, DUMP_SIGNAL)
            _await_more({file: size}, timeout_s=deadline - time.monotonic())


def _children(pid: int) -> list[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        return [child for child in psutil.Process(pid).children(recursive=True) if is_running(child)]
    return []


def _expects(pid: int) -> bool:
    """Whether a process has a handler for the signal, as the kernel shows it."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        status = Path(f"/proc/{pid}/status").read_text()
        caught = int(status.partition("SigCgt:")[2].split()[0], 16)
        return bool(caught >> (DUMP_SIGNAL - 1) & 1)
    return False


def is_stopped(pid: int | None) -> bool:
    """Whether a process stands still by SIGSTOP."""
    with contextlib.suppress(psutil.Error):
        return pid is not None and psutil.Process(pid).status() == psutil.STATUS_STOPPED
    return False


def _await_more(sizes: Mapping[Path, int], *, timeout_s: float) -> None:
    """Return when every file is longer than it was and grows no more: a stack is written piece by piece."""
    deadline = time.monotonic() + timeout_s
    last: list[int] = []
    while time.monotonic() < deadline:
        now = [file.stat().st_size for file in sizes]
        if now == last and all(more > less for more, less in zip(now, sizes.values(), strict=True)):
            return
        last = now
        time.sleep(_POLL_S)
