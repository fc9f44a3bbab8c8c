"""The store where nodes meet. No node hosts it, so that no node's death takes it along.

`python -m resumable.launch.cluster.store PORT` is one in a process, or a container, of its own.
"""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

from resumable.launch.errors import NodeError, UsageError
from resumable.launch.node.stores import open_store

if TYPE_CHECKING:
    from torch.distributed import TCPStore

_EVERYWHERE = "0.0.0.0"
"""Nodes in containers come from outside."""


def host_store(address: str, port: int) -> TCPStore:
    """A store that lives as long as the object.

    Args:
        address: Where nodes reach it; on a loopback address it listens on nothing else.
        port: 0 lets the system choose.

    Raises:
        UsageError: the port is taken.
        NodeError: nothing can listen there.
    """
    try:
        return open_store(address, port)
    except RuntimeError as error:
        if not port:
            raise NodeError(f"{address}: nothing can listen there; is its network up? `ip address` shows it") from error
        raise UsageError(
            f"--master-port {port}: the port is taken on {address}; choose another, or leave it out for a free one"
        ) from error


def main() -> None:
    """Host a store until a signal ends this process."""
    store = host_store(_EVERYWHERE, int(sys.argv[1]))
    print(f"store on port {store.port}", flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
