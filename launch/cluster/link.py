"""Takes a network link of this host down or up: `python -m resumable.launch.cluster.link NAME up|down`, with CAP_NET_ADMIN.

What `ip link set` does, in images that have no `ip`. Addresses stay, and the routes of the link come back with it; packets
are lost without a word to either side, as when a cable is pulled.
"""

from __future__ import annotations

import fcntl
import socket
import struct
import sys

_SIOCGIFFLAGS, _SIOCSIFFLAGS = 0x8913, 0x8914
_IFF_UP = 1
_IFREQ = struct.Struct("16sH22x")
"""`struct ifreq`: a name, the flags, and room for what else it can hold."""


def set_link(name: str, *, is_up: bool) -> None:
    """Take the link down or up.

    Raises:
        OSError: there is no such link, or this process may not.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        answer = fcntl.ioctl(any_socket, _SIOCGIFFLAGS, _IFREQ.pack(name.encode(), 0))
        _, flags = _IFREQ.unpack(answer)
        flags = flags | _IFF_UP if is_up else flags & ~_IFF_UP
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, _IFREQ.pack(name.encode(), flags))


if __name__ == "__main__":
    set_link(sys.argv[1], is_up=sys.argv[2] == "up")
