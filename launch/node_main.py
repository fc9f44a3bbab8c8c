"""Entry point of a node process: `python -m launch.node_main REPLY_FD MODULE...`.

The fork server is started before this process imports torch itself, so that both import it at the same time. It imports
the modules that are named besides, and lives as long as the node.
"""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import multiprocessing.forkserver
import os
import sys
import threading

_PRELOAD = "launch.worker.preload"


def main() -> None:
    """Serve the supervisor until it closes the pipe."""
    replies = os.fdopen(int(sys.argv[1]), "wb")
    os.set_inheritable(replies.fileno(), False)
    multiprocessing.set_forkserver_preload([_PRELOAD, *sys.argv[2:]])
    multiprocessing.forkserver.ensure_running()

    from torch.distributed.elastic.multiprocessing import SignalException  # noqa: PLC0415

    from launch.node import serve  # noqa: PLC0415

    # The agent's first error message would import it, which takes a second, between the death of a rank and its restart.
    threading.Thread(target=importlib.import_module, args=("torch._dynamo",), daemon=True).start()
    with contextlib.suppress(SignalException):
        serve(sys.stdin.buffer, replies)


if __name__ == "__main__":
    main()
