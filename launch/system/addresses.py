"""What an address says about who can be there."""

from __future__ import annotations

import ipaddress


def is_loopback(address: str) -> bool:
    """Whether nobody but this machine can be at this address, or at this name."""
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return address == "localhost"
