"""Entry point of a node process: `python -m launch.node_main REPLY_FD MODULE...`.

An empty line on REPLY_FD says that the node is warm. It is a pipe, or 1 where there is nothing but the standard streams, as
in a container: what the ranks and the agent print to standard output then goes to standard error.

The fork server is started before this process imports torch itself, so that both import it at the same time. It imports
the modules that are named between two of ours, and lives as long as the node.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import multiprocessing
import multiprocessing.forkserver
import os
import sys
from typing import BinaryIO

_FIRST, _LAST = "launch.worker.preload", "launch.worker.settled"


def main() -> None:
    """Serve the supervisor until it closes the pipe."""
    replies = _open_replies(int(sys.argv[1]))
    multiprocessing.set_forkserver_preload([_FIRST, *sys.argv[2:], _LAST])
    multiprocessing.forkserver.ensure_running()
    gc.disable()  # as in the fork server

    from torch.distributed.elastic.multiprocessing import SignalException  # noqa: PLC0415

    from launch.node import serve  # noqa: PLC0415

    # The agent's first error message would import it, which takes a second, between the death of a rank and its restart. And
    # not while the node joins a rendezvous: its heartbeats would wait for the import, and the others take it for dead.
    importlib.import_module("torch._dynamo")
    gc.freeze()
    gc.enable()
    _wait_for_fork_server()
    replies.write(b"\n")
    replies.flush()
    with contextlib.suppress(SignalException):
        serve(sys.stdin.buffer, replies)


def _wait_for_fork_server() -> None:
    """Return when it has imported everything.

    A node that joined before would let the ranks of the others wait for its own, longer than their timeouts may be.
    """
    first = multiprocessing.get_context("forkserver").Process(target=os.getpid)
    first.start()
    first.join()


def _open_replies(descriptor: int) -> BinaryIO:
    """The replies' own end, which no rank inherits."""
    replies = os.fdopen(os.dup(descriptor), "wb")
    if descriptor == sys.stdout.fileno():
        os.dup2(sys.stderr.fileno(), descriptor)
    else:
        os.close(descriptor)
    return replies


if __name__ == "__main__":
    main()
