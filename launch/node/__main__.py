"""Entry point of a node process: `python -m resumable.launch.node REQUEST_FD REPLY_FD MODULE...`.

An empty line on REPLY_FD says that the node is warm. Both are pipes of their own, or 0 and 1 where there is nothing but the
standard streams, as in a container: ranks then find nothing on standard input, and what they and the agent print to standard
output goes to standard error. If not, the ranks have the standard streams that the node was started with.

The fork server is started before this process imports torch itself, so that both import it at the same time. It imports
the modules that are named between two of ours, and lives as long as the node.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import importlib
import multiprocessing
import multiprocessing.forkserver
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import BinaryIO, Literal

from resumable.launch.system.environment import own_tag
from resumable.launch.system.offspring import adopt_orphans
from resumable.launch.system.processes import scratch_of

_STDIN, _STDOUT, _STDERR = range(3)
_FIRST, _LAST = "resumable.launch.worker.forkserver.preload", "resumable.launch.worker.forkserver.freeze"


def main() -> None:
    """Serve the supervisor until it closes the pipe."""
    requests, replies = _take(int(sys.argv[1]), "rb"), _take(int(sys.argv[2]), "wb")
    _fill_standard_input()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # ends a node that has no ranks yet without a word, as SIGTERM does
    adopt_orphans()
    tag = own_tag() or ""
    _keep_temporaries_in(scratch_of(tag))
    multiprocessing.set_forkserver_preload([_FIRST, *sys.argv[3:], _LAST])
    multiprocessing.forkserver.ensure_running()
    gc.disable()  # as in the fork server

    from torch.distributed.elastic.multiprocessing import SignalException

    from resumable.launch.node.agent import end_all, serve

    # The agent's first error message would import it, which takes a second, between the death of a rank and its restart. And
    # not while the node joins a rendezvous: its heartbeats would wait for the import, and the others take it for dead.
    importlib.import_module("torch._dynamo")
    gc.freeze()
    gc.enable()
    _wait_for_fork_server()
    replies.write(b"\n")
    replies.flush()
    try:
        with contextlib.suppress(SignalException):
            serve(requests, replies)
    finally:
        end_all(tag)


def _keep_temporaries_in(folder: Path) -> None:
    """Let what this process puts into temporary files lie there."""
    folder.mkdir(mode=0o700, exist_ok=True)
    tempfile.tempdir = str(folder)


def _wait_for_fork_server() -> None:
    """Return when it has imported everything.

    A node that joined before would let the ranks of the others wait for its own, longer than their timeouts may be.
    """
    first = multiprocessing.get_context("forkserver").Process(target=os.getpid)
    first.start()
    first.join()


def _take(descriptor: int, mode: Literal["rb", "wb"]) -> BinaryIO:
    """The same under another number, which is none of the standard streams' and which no rank inherits."""
    taken = os.fdopen(fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _STDERR + 1), mode)
    os.close(descriptor)
    if descriptor == _STDOUT:
        os.dup2(_STDERR, descriptor)
    return taken


def _fill_standard_input() -> None:
    """Let there be nothing on it, rather than no such stream, whose number the next file would get."""
    try:
        os.fstat(_STDIN)
    except OSError:
        nothing = os.open(os.devnull, os.O_RDONLY)  # gets the lowest number that is free
        os.set_inheritable(nothing, True)


if __name__ == "__main__":
    main()
