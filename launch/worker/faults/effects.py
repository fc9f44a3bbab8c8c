"""What the faults do, once their moment has come."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from resumable.launch.plan.fault_kinds import NODE_NOTICES, FaultKind
from resumable.launch.plan.fault_model import PlannedFault
from resumable.launch.worker.error_facts import FAULT_ATTRIBUTE

_SUPERVISOR_TIMEOUT_S = 60.0
_COMPANIONS_TIMEOUT_S = 15.0
"""Each puts its mark on the disk first, which takes seconds where that is busy."""
_POLL_S = 0.002
_NUM_CORRUPT_BYTES = 64
_METADATA = ".metadata"
_SIGNALS = {FaultKind.SIGTERM: signal.SIGTERM, FaultKind.SIGINT: signal.SIGINT, FaultKind.SIGSTOP: signal.SIGSTOP}
"""All other kinds that reach `_signal_oneself` kill: damage to a checkpoint is followed by a power cut."""


class InjectedFaultError(Exception):
    """Raised in the training script by the fault `exception`.

    No RuntimeError: `torch.load` raises that for a damaged file, so whoever loads with care takes it for damage and goes on.
    To other ranks, where `torch.distributed.checkpoint` sends it, it goes as a plain `Exception`.
    """

    def __reduce__(self) -> tuple[type[Exception], tuple[object, ...], dict[str, object]]:
        return Exception, self.args, self.__dict__


def perform(fault: PlannedFault, *, loader_worker: int | None = None, path: str = "") -> None:
    """Do it to this process; returns if the process survives it, as one that handles SIGTERM does.

    Args:
        fault: One that is done to a rank.
        loader_worker: Pid of the loader worker that `loaderkill` kills.
        path: The file whose writing `diskfull` and `ioerror` spoil.

    Raises:
        InjectedFaultError: the fault is `exception`.
        SystemExit: the fault is `exit`.
        OSError: the fault is `diskfull` or `ioerror`.
    """
    match fault.kind:
        case FaultKind.EXCEPTION:
            raise _marked(InjectedFaultError(f"planned fault: {fault}"), fault)
        case FaultKind.EXIT:
            raise _marked(SystemExit(int(fault.argument or 0)), fault)
        case FaultKind.DISKFULL | FaultKind.IOERROR:
            code = errno.ENOSPC if fault.kind is FaultKind.DISKFULL else errno.EIO
            raise OSError(code, os.strerror(code), path)
        case FaultKind.ABORT:
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            os.abort()
        case FaultKind.HANG:
            while True:
                time.sleep(3600)
        case FaultKind.LOADERKILL if loader_worker is not None:
            _kill_loader_worker(loader_worker)
        case _:
            _signal_oneself(fault)


def _marked(error: BaseException, fault: PlannedFault) -> BaseException:
    """The same exception, by which the end of the script is known to be the fault's."""
    setattr(error, FAULT_ATTRIBUTE, fault.number)
    return error


def _kill_loader_worker(pid: int) -> None:
    """Return once it is dead: torch raises when SIGCHLD comes, which must not be in the middle of writing evidence."""
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def _signal_oneself(fault: PlannedFault) -> None:
    if fault.kind is FaultKind.SIGTERM:
        _kill_after(fault.argument or 0.0)
    signum = _SIGNALS.get(fault.kind, signal.SIGKILL)
    os.kill(os.getpid(), signum)
    if signum == signal.SIGKILL:
        signal.pause()


def damageable_part(checkpoint: Path, rank: int) -> Path | None:
    """The file of a checkpoint that a power cut or a bad disk of this rank's spoils; None if there is none.

    Of a folder that `torch.distributed.checkpoint` wrote it is the largest file with data of the rank, or else, where all
    data are other ranks', the largest of all. What marks the folder as whole stays: without its `.metadata` it is
    a folder that was never finished, and `save#N+during` leaves those.
    """
    if checkpoint.is_file():
        return checkpoint
    data = [file for file in checkpoint.glob("*") if file.is_file() and not file.name.endswith(_METADATA)]
    own = [file for file in data if file.name.startswith(f"__{rank}_") and file.stat().st_size]
    return max(own or data, key=lambda file: (file.stat().st_size, file.name), default=None)


def why_not_damaged(file: Path, folders: Iterable[Path]) -> Literal["it is a link", "it is not the run's own", None]:
    """Why a file may not be damaged; None if it may.

    It must be no link, and lie in one of these folders once the links on its way are resolved.
    """
    if file.is_symlink():
        return "it is a link"
    place = file.resolve()
    return None if any(place.is_relative_to(folder.resolve()) for folder in folders) else "it is not the run's own"


def damage(fault: PlannedFault, path: Path) -> None:
    """Do to a file of a checkpoint what a power cut or a bad disk does; a hard link of it elsewhere stays whole."""
    if path.stat().st_nlink > 1:
        copy = path.with_name(f"{path.name}.damaged")
        shutil.copy2(path, copy)
        copy.replace(path)
    size_bytes = path.stat().st_size
    if fault.kind is FaultKind.TORN:
        keep = fault.argument or 0.0
        os.truncate(path, min(size_bytes, int(keep * size_bytes if keep < 1 else keep)))
        return
    with path.open("r+b") as file:
        file.seek(max(0, (size_bytes - _NUM_CORRUPT_BYTES) // 2))
        start = file.tell()
        data = file.read(_NUM_CORRUPT_BYTES)
        file.seek(start)
        file.write(bytes(byte ^ 0xFF for byte in data))


@contextlib.contextmanager
def notice_of(fault: PlannedFault) -> Iterator[Callable[[], bool]]:
    """Tells whether what announces the fault has come to this process since.

    The supervisor signals the agent of a node that is preempted, and the agent its ranks. A process that ignores SIGTERM, or
    whose main thread this is not, cannot tell; nor has any other fault a notice.
    """
    if fault.kind not in NODE_NOTICES or not _is_told_of(signal.SIGTERM):
        yield lambda: True
        return
    with _signals_seen() as seen:
        yield lambda: signal.SIGTERM in seen()


def await_supervisor(done: Path, has_notice: Callable[[], bool]) -> None:
    """Stand still until the supervisor has done to the node what is to be done, or has ended this process with it.

    Nothing is trained on before the notice has come either.
    """
    await_condition(lambda: has_notice() and done.exists(), timeout_s=_SUPERVISOR_TIMEOUT_S)


def _is_told_of(signum: signal.Signals) -> bool:
    """Whether this thread hears of the signal through Python, or the process ends of it."""
    handler = signal.getsignal(signum)
    is_handled = callable(handler) or handler == signal.SIG_DFL
    return is_handled and threading.current_thread() is threading.main_thread()


@contextlib.contextmanager
def _signals_seen() -> Iterator[Callable[[], bytes]]:
    """Numbers of the signals that have come since; whoever else is told of them is told later."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    seen = bytearray()

    def look() -> bytes:
        with contextlib.suppress(BlockingIOError):
            seen.extend(ours.recv(1024))
        return bytes(seen)

    previous = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    try:
        yield look
    finally:
        signal.set_wakeup_fd(previous)
        if previous != -1:
            os.write(previous, look())
        ours.close()
        theirs.close()


def await_companions(have_fired: Callable[[], bool]) -> None:
    """Stand still until all that die at this moment have come to it."""
    await_condition(have_fired, timeout_s=_COMPANIONS_TIMEOUT_S)


def await_condition(
    is_met: Callable[[], bool], *, timeout_s: float, sleep: Callable[[float], object] = time.sleep
) -> None:
    """Return once it is met, or when the time is over."""
    deadline = time.monotonic() + timeout_s
    while not is_met() and time.monotonic() < deadline:
        sleep(_POLL_S)


class Performing(Protocol):
    """Does a fault to a rank, as `perform` does."""

    def __call__(self, fault: PlannedFault, *, loader_worker: int | None, path: str) -> None:
        """See `perform`."""


@dataclass(frozen=True, kw_only=True)
class Effects:
    """All that a trigger does besides recording; it may be given different ones, which only note what was to be done."""

    perform: Performing = perform
    damage: Callable[[PlannedFault, Path], None] = damage
    notice_of: Callable[[PlannedFault], AbstractContextManager[Callable[[], bool]]] = notice_of
    await_supervisor: Callable[[Path, Callable[[], bool]], None] = await_supervisor
    await_companions: Callable[[Callable[[], bool]], None] = await_companions


def _kill_after(grace_s: float) -> None:
    """What follows on SIGTERM where a process does not end by itself."""

    def kill() -> None:
        time.sleep(grace_s)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=kill, daemon=True, name="grace").start()
