"""The store where nodes meet. No node hosts it, so that no node's death takes it along.

`python -m resumable.launch.cluster.store PORT` is one in a process, or a container, of its own.
"""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

from resumable.launch.errors import UsageError

if TYPE_CHECKING:
    from torch.distributed import TCPStore  # type: ignore[attr-defined]


def host_store(address: str, port: int) -> TCPStore:
    """A store that lives as long as the object.

    Args:
        address: Where this process reaches it; the store itself listens on every interface.
        port: 0 lets the system choose.

    Raises:
        UsageError: the port is taken.
    """
    from torch.distributed import TCPStore  # type: ignore[attr-defined] # noqa: PLC0415 - 2 s; nodes start meanwhile

    try:
        return TCPStore(address, port, is_master=True, wait_for_workers=False)
    except RuntimeError as error:
        raise UsageError(
            f"--master-port {port}: the port is taken on {address}; choose another, or leave it out for a free one"
        ) from error


def main() -> None:
    """Host a store until a signal ends this process."""
    store = host_store("127.0.0.1", int(sys.argv[1]))
    print(f"store on port {store.port}", flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
