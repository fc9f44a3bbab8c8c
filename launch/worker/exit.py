"""Lets a rank end when its script ends, as a process of its own would, and lets nothing of torch's hold it up.

A process group of gloo joins its threads in its destructor. If the last reference goes while the interpreter's lock is held,
as when a function that held a DDP model returns, and a thread is still to release the tensors of the last collective, both
wait for each other for good; at the interpreter's own end the same threads can abort the process. So no process group is
ever destroyed here: the kernel closes its connections when the process ends.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

import torch.distributed as dist
from torch.distributed import distributed_c10d

from resumable.launch.worker import torch_private
from resumable.launch.worker.patching import Args, Kwargs, Patches


def keep_process_groups(patches: Patches) -> None:
    """Hold every process group of this process, those too that the script has destroyed."""
    kept: list[object] = []

    def destroy_process_group(original: Callable[..., None], _instance: None, args: Args, kwargs: Kwargs) -> None:
        kept.extend(torch_private.process_groups())
        original(*args, **kwargs)

    for module in (dist, distributed_c10d):
        patches.wrap(module, "destroy_process_group", destroy_process_group)


def call_before_abrupt_exit(patches: Patches, record: Callable[[int], None]) -> None:
    """Call `record` with the exit code where the script leaves by `os._exit`, in whichever thread or forked process."""

    def around(original: Callable[[int], NoReturn]) -> Callable[[int], NoReturn]:
        def _exit(status: int) -> NoReturn:
            record(status)
            original(status)

        return _exit

    # A plain function: it is called in processes that are about to end, perhaps in the middle of anything.
    patches.wrap_hot(os, "_exit", around)


def leave_once_answered() -> None:
    """End this process as soon as its return value is with the agent: where it would begin to wait for its peers.

    The agent keeps the ranks of a fork server waiting for each other. To its peers such a rank would seem alive: one that
    returns early would hang them, where a process that ends makes their next collective fail.
    """
    sys.setprofile(_leave_instead_of_waiting)


def leave(code: int) -> None:
    """End this process now; exit handlers have run."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError, OSError):  # None, closed, or full: the script's doing
            stream.flush()
    os._exit(code)


def die_of(signum: int) -> None:
    """End this process by a signal, as an interpreter that was interrupted does."""
    signal.signal(signum, signal.SIG_DFL)
    os.kill(os.getpid(), signum)


def _leave_instead_of_waiting(frame: FrameType, event: str, _argument: object) -> None:
    # Not within the wait: the agent's `Event.set` would then wait for this process to wake up.
    if event == "call" and frame.f_code is torch_private.wait_of_event():
        leave(0)
