"""Entry point of a node process: `python -m resumable.launch.node REQUEST_FD REPLY_FD MODULE...`.

An empty line on REPLY_FD says that the node is warm. Both are pipes of their own, or 0 and 1 where there is nothing but the
standard streams, as in a container: ranks then find nothing on standard input, and what they and the agent print to standard
output goes to standard error. If not, the ranks have the standard streams that the node was started with.

The fork server is a fork of this process, once that has imported torch and all else that a rank needs: so both have it in
memory once, and import it once. It imports the modules that were named itself, and lives as long as the node.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import importlib
import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

from resumable.launch.node.forked_programs import forked
from resumable.launch.system.environment import own_tag
from resumable.launch.system.offspring import adopt_orphans
from resumable.launch.system.processes import scratch_of

if TYPE_CHECKING:
    from resumable.launch.node.torch_private import ForkProgram

_STDIN, _STDOUT, _STDERR = range(3)
_FIRST, _LAST = "resumable.launch.worker.forkserver.preload", "resumable.launch.worker.forkserver.freeze"


def main() -> None:
    """Serve the supervisor until it closes the pipe."""
    requests, replies = _take(int(sys.argv[1]), "rb"), _take(int(sys.argv[2]), "wb")
    _fill_standard_input()
    be_alone()
    import_all()
    be_node(requests, replies, preload=sys.argv[3:])


def be_alone() -> None:
    """See to all that comes to be below this process, and end without a word where an interrupt comes, as at SIGTERM."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    adopt_orphans()


def import_all(*modules: str) -> None:
    """Import what a node and its ranks need, and these modules too; from here on the collector leaves all that alone."""
    importlib.import_module(_FIRST)
    importlib.import_module("resumable.launch.node.agent")
    for module in modules:
        with contextlib.suppress(ImportError):  # as Python's fork servers do
            importlib.import_module(module)
    gc.collect()
    gc.freeze()
    gc.enable()


def be_node(
    requests: BinaryIO, replies: BinaryIO, *, preload: Sequence[str], second: ForkProgram | None = None
) -> None:
    """Serve the supervisor in a process that has imported everything.

    Args:
        requests: See `agent.serve`.
        replies: Likewise; gets an empty line first.
        preload: Modules that the fork server imports besides.
        second: See `ForkServers`.
    """
    from torch.distributed.elastic.multiprocessing import SignalException

    from resumable.launch.node.agent import end_all, serve
    from resumable.launch.node.torch_private import own_fork_server, start_fork_server

    tag = own_tag() or ""
    _keep_temporaries_in(scratch_of(tag))
    multiprocessing.set_forkserver_preload([_FIRST, *preload, _LAST])
    start_fork_server(own_fork_server(), partial(forked, in_child=partial(be_fork_server, requests, replies)))
    _wait_for_fork_server()
    replies.write(b"\n")
    replies.flush()
    try:
        with contextlib.suppress(SignalException):
            serve(requests, replies, second)
    finally:
        end_all(tag)


def _keep_temporaries_in(folder: Path) -> None:
    """Let what this process puts into temporary files lie there."""
    folder.mkdir(mode=0o700, exist_ok=True)
    tempfile.tempdir = str(folder)


def be_fork_server(*pipes: BinaryIO) -> None:
    """Undo in the fork server what a node is to itself alone."""
    for pipe in pipes:
        pipe.close()
    tempfile.tempdir = None
    signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.disable()  # until it has imported all


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
