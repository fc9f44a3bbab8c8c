"""Opens stores of torch, and keeps those of one machine on it.

A `TCPStore` listens on every interface, asks nobody who he is, and torch unpickles what it finds there: whoever reaches the
port runs code as the job does. On one machine all who have business there come by the loopback interface.
"""

from __future__ import annotations

import socket
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from resumable.launch.system.addresses import is_loopback

if TYPE_CHECKING:
    from torch.distributed import TCPStore

_TIMEOUT = timedelta(seconds=300)
"""torch's."""
_BACKLOG = 2048
"""torch's is the system's greatest: all ranks of a node come at once."""


def open_store(address: str, port: int = 0) -> TCPStore:
    """A store that lives as long as the object.

    Args:
        address: Where others reach it. On a loopback address it listens there alone, on others on every interface.
        port: 0 lets the system choose.

    Raises:
        RuntimeError: the port is taken.
    """
    return tcp_store(address, port, is_master=True, wait_for_workers=False, timeout=_TIMEOUT)


def tcp_store(address: str, port: int, *, is_master: bool = False, **options: Any) -> TCPStore:  # noqa: ANN401 - whatever torch takes
    """torch's `TCPStore`, which listens on the loopback alone if that is where it is reached.

    Args:
        address: As torch takes it.
        port: Likewise.
        is_master: It is hosted here.
        options: torch's others.

    Raises:
        RuntimeError: it cannot be hosted, or reached.
    """
    import torch  # noqa: PLC0415 - 2 s; nodes start meanwhile
    from torch.distributed import TCPStore  # noqa: PLC0415 - likewise

    if not (is_master and is_loopback(address)):
        return TCPStore(address, port, is_master=is_master, **options)
    try:
        listener = socket.create_server((address, port), family=_family(address), backlog=_BACKLOG)
    except OSError as error:
        raise RuntimeError(f"{address}:{port}: {error.strerror}") from error
    with listener:
        port = listener.getsockname()[1]
        # Before torch 2.8 the libuv backend takes nobody else's socket.
        options = {"use_libuv": torch.__version__ >= "2.8", **options, "is_master": True}
        return TCPStore(address, port, master_listen_fd=listener.detach(), **options)


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
