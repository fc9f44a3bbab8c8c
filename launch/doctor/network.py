"""Can ranks of this machine find each other: interfaces, names, ports."""

from __future__ import annotations

import socket
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from resumable.launch.doctor.finding import Finding, fail, ok, warn
from resumable.launch.doctor.probe import Subject, within
from resumable.launch.system.addresses import is_loopback
from resumable.launch.system.environment import gloo_interfaces

LOOKUP_LIMIT_S = 3.0
"""A lookup that takes longer is given up; `socket.getfqdn` can take half a minute."""
SLOW_LOOKUP_S = 1.0
FEW_PORTS = 1000

_PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


@dataclass(frozen=True, kw_only=True)
class Lookup:
    """What came of looking a name up."""

    name: str
    addresses: Sequence[str] = ()
    """Empty if the name is not known."""
    time_s: float = 0.0
    is_late: bool = False
    """Given up after `LOOKUP_LIMIT_S`."""

    def __str__(self) -> str:
        return f"{self.name} takes {'more than ' if self.is_late else ''}{self.time_s:.1f} s"


def interface(_subject: Subject) -> Finding:
    """Is the loopback up, and does GLOO_SOCKET_IFNAME name interfaces that are there?"""
    are_up = {name: status.isup for name, status in psutil.net_if_stats().items()}
    addresses = psutil.net_if_addrs()
    loopback = next((name for name, own in addresses.items() if any(a.address == "127.0.0.1" for a in own)), None)
    return judge_interface(are_up=are_up, loopback=loopback, chosen=gloo_interfaces())


def judge_interface(*, are_up: Mapping[str, bool], loopback: str | None, chosen: Sequence[str]) -> Finding:
    """Decide from the interfaces, the one with 127.0.0.1, and those that GLOO_SOCKET_IFNAME names."""
    if loopback is None or not are_up.get(loopback, False):
        meaning = "127.0.0.1 is on no interface that is up: ranks of one machine cannot meet"
        return fail("interface", meaning, "ip link set lo up")
    bad = [name for name in chosen if not are_up.get(name, False)]
    if bad:
        there = ", ".join(sorted(name for name, is_up in are_up.items() if is_up))
        meaning = (
            f"GLOO_SOCKET_IFNAME={','.join(chosen)}: {', '.join(bad)} is not there or not up, so gloo will not start"
        )
        return fail("interface", meaning, f"unset GLOO_SOCKET_IFNAME, or choose from {there}")
    how = f"gloo uses {','.join(chosen)}" if chosen else "gloo is held to it on one machine"
    return ok("interface", f"{loopback} is up; {how}")


def names(_subject: Subject) -> Finding:
    """To what, and how fast, do the names resolve that gloo and torch's rendezvous ask for?"""
    fqdn = within(LOOKUP_LIMIT_S, socket.getfqdn)
    return judge_names(
        localhost=_look_up("localhost"),
        host=_look_up(socket.gethostname()),
        fqdn=Lookup(name="getfqdn()", time_s=fqdn.time_s, is_late=fqdn.is_late),
        own_addresses={address.address for own in psutil.net_if_addrs().values() for address in own},
    )


def judge_names(*, localhost: Lookup, host: Lookup, fqdn: Lookup, own_addresses: Collection[str]) -> Finding:
    """Decide from three lookups and this machine's own addresses."""
    if not localhost.is_late and not any(map(is_loopback, localhost.addresses)):
        meaning = f"localhost resolves to {_listed(localhost)}: a rendezvous on one machine fails"
        return fail("names", meaning, "put `127.0.0.1 localhost` into /etc/hosts")
    fix = f"put `127.0.1.1 {host.name}` into /etc/hosts; across nodes set --local-addr and GLOO_SOCKET_IFNAME"
    slow = [look for look in (localhost, host, fqdn) if look.is_late or look.time_s > SLOW_LOOKUP_S]
    if slow:
        return warn("names", f"{', '.join(map(str, slow))}: plain torchrun waits for it at each restart", fix)
    if not any(is_loopback(address) or address in own_addresses for address in host.addresses):
        meaning = f"{host.name} resolves to {_listed(host)}, not to this machine: gloo fails without an interface"
        return warn("names", meaning, fix)
    return ok("names", f"localhost and {host.name} resolve to this machine, quickly")


def ports(_subject: Subject) -> Finding:
    """Can a port that the system chooses be reached on the loopback?"""
    low, high = map(int, _PORT_RANGE.read_text().split())
    return judge_ports(error=_connection_error(), num_ports=high - low + 1)


def judge_ports(*, error: str | None, num_ports: int) -> Finding:
    """Decide from what came of one connection and the number of ephemeral ports."""
    if error is not None:
        meaning = f"a port of our own cannot be reached on 127.0.0.1: {error}"
        return fail("ports", meaning, "let the firewall or sandbox allow TCP on the loopback")
    if num_ports < FEW_PORTS:
        meaning = f"{num_ports} ephemeral ports: many restarts within a minute can use them up"
        return warn("ports", meaning, 'sysctl -w net.ipv4.ip_local_port_range="32768 60999"')
    return ok("ports", f"a port of the system's choice can be reached; {num_ports} to choose from")


def _connection_error() -> str | None:
    """Bind, connect, accept; what failed, or None."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(LOOKUP_LIMIT_S)
            with socket.create_connection(server.getsockname(), timeout=LOOKUP_LIMIT_S):
                server.accept()[0].close()
    except OSError as error:
        return str(error)
    return None


def _look_up(name: str) -> Lookup:
    answer = within(LOOKUP_LIMIT_S, lambda: socket.getaddrinfo(name, None, type=socket.SOCK_STREAM))
    addresses = tuple(dict.fromkeys(str(entry[4][0]) for entry in answer.value or ()))
    return Lookup(name=name, addresses=addresses, time_s=answer.time_s, is_late=answer.is_late)


def _listed(lookup: Lookup) -> str:
    return ", ".join(lookup.addresses) or "nothing"
