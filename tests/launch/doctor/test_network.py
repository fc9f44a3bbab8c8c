import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from resumable.launch.doctor import network
from resumable.launch.doctor.finding import Status
from resumable.launch.doctor.network import Lookup, judge_interface, judge_names, judge_ports
from resumable.launch.doctor.probe import Subject

LOCALHOST = Lookup(name="localhost", addresses=("::1", "127.0.0.1"))
HOST = Lookup(name="box", addresses=("10.0.0.5",))
FQDN = Lookup(name="getfqdn()")


@pytest.mark.parametrize(
    ("are_up", "loopback", "chosen", "expected"),
    [
        ({"lo": True, "eth0": True}, "lo", (), Status.OK),
        ({"lo": True, "eth0": True}, "lo", ("eth0",), Status.OK),
        ({"lo": False}, "lo", (), Status.FAIL),
        ({"eth0": True}, None, (), Status.FAIL),
        ({"lo": True}, "lo", ("eth7",), Status.FAIL),
        ({"lo": True, "eth0": False}, "lo", ("lo", "eth0"), Status.FAIL),
    ],
)
def test_interfaces_must_be_up(are_up, loopback, chosen, expected):
    """The loopback, and each that gloo is told to use."""
    assert expected == judge_interface(are_up=are_up, loopback=loopback, chosen=chosen).status


def test_the_missing_interface_and_the_possible_ones_are_named():
    """So that the fix can be typed."""
    finding = judge_interface(are_up={"lo": True, "eth0": True}, loopback="lo", chosen=("eth7",))
    assert ("eth7" in finding.meaning, "eth0, lo" in finding.fix) == (True, True)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Status.OK),
        ({"host": Lookup(name="box", addresses=("127.0.1.1",))}, Status.OK),
        ({"localhost": Lookup(name="localhost")}, Status.FAIL),
        ({"localhost": Lookup(name="localhost", addresses=("93.184.216.34",))}, Status.FAIL),
        ({"host": Lookup(name="box")}, Status.WARN),
        ({"host": Lookup(name="box", addresses=("10.9.9.9",))}, Status.WARN),
        ({"fqdn": Lookup(name="getfqdn()", time_s=1.5)}, Status.WARN),
        ({"fqdn": Lookup(name="getfqdn()", time_s=3.0, is_late=True)}, Status.WARN),
        ({"host": Lookup(name="box", time_s=3.0, is_late=True)}, Status.WARN),
        ({"localhost": Lookup(name="localhost", time_s=3.0, is_late=True)}, Status.WARN),
    ],
)
def test_names_must_lead_here_and_at_once(changes, expected):
    """A wrong localhost ends every rendezvous; a wrong or slow host name only those that ask for it."""
    lookups = {"localhost": LOCALHOST, "host": HOST, "fqdn": FQDN, **changes}
    assert expected == judge_names(own_addresses={"127.0.0.1", "10.0.0.5"}, **lookups).status


def test_a_stalled_lookup_is_given_up(monkeypatch):
    """A resolver that does not answer is not waited for."""
    release = threading.Event()
    monkeypatch.setattr(network, "LOOKUP_LIMIT_S", 0.05)
    monkeypatch.setattr(socket, "getfqdn", lambda: str(release.wait()))
    loopback = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [loopback])
    finding = network.names(SUBJECT)
    release.set()
    assert (finding.status, "getfqdn() takes more than" in finding.meaning) == (Status.WARN, True)


@pytest.mark.parametrize(
    ("error", "num_ports", "expected"),
    [(None, 28232, Status.OK), ("refused", 28232, Status.FAIL), (None, 100, Status.WARN)],
)
def test_ports_must_be_reachable_and_many(error, num_ports, expected):
    """What was refused stands in the finding."""
    finding = judge_ports(error=error, num_ports=num_ports)
    assert (expected, (error or "") in finding.meaning) == (finding.status, True)


SUBJECT = Subject(nproc_per_node=2, run_dir=None)


@contextmanager
def no_server(*_args: object) -> Iterator[None]:
    raise PermissionError("no sockets here")
    yield


def test_a_machine_that_forbids_sockets_fails(monkeypatch):
    """The probe reports what the system said."""
    monkeypatch.setattr(socket, "create_server", no_server)
    finding = network.ports(SUBJECT)
    assert (finding.status, "no sockets here" in finding.meaning) == (Status.FAIL, True)


@pytest.mark.parametrize("probe", [network.interface, network.names, network.ports])
def test_each_probe_reads_this_machine(probe):
    """Whatever it finds, it finds something."""
    assert probe(SUBJECT).status in set(Status) - {Status.UNKNOWN}
