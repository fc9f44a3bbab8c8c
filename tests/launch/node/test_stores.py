"""On one machine nobody from outside reaches a store."""

from __future__ import annotations

import psutil
import pytest
from torch.distributed.elastic.rendezvous import RendezvousParameters, c10d_rendezvous_backend

from resumable.launch.node import torch_private
from resumable.launch.node.stores import open_store


def listening() -> set[tuple[str, int]]:
    """Addresses and ports on which this process listens."""
    return {tuple(c.laddr) for c in psutil.Process().net_connections("tcp") if c.status == psutil.CONN_LISTEN}


def addresses_since(before: set[tuple[str, int]]) -> set[str]:
    """Where it listens now and did not then: what a test before left may still be there."""
    return {address for address, _ in listening() - before}


@pytest.mark.parametrize(
    ("address", "expected"), [("127.0.0.1", {"127.0.0.1"}), ("localhost", {"127.0.0.1"}), ("0.0.0.0", {"::"})]
)
def test_a_store_listens_where_it_is_reached(address: str, expected: set[str]) -> None:
    """On the loopback alone if that is enough."""
    before = listening()
    store = open_store(address)
    store.set("key", "value")
    assert (store.get("key"), addresses_since(before)) == (b"value", expected)


def test_a_rendezvous_on_this_machine_listens_on_it_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch's own backend, as with `--rdzv-endpoint localhost:0`."""
    monkeypatch.setattr(c10d_rendezvous_backend, "TCPStore", c10d_rendezvous_backend.TCPStore)
    torch_private.keep_near_stores_near()
    before = listening()
    parameters = RendezvousParameters("c10d", "localhost:0", "job", 1, 1, is_host="true")
    _backend, store = c10d_rendezvous_backend.create_backend(parameters)
    store.set("key", "value")
    assert addresses_since(before) == {"127.0.0.1"}


def test_a_port_that_is_taken_is_an_error_of_torch() -> None:
    """Who has its errors handled has this one handled too."""
    first = open_store("127.0.0.1")
    with pytest.raises(RuntimeError, match=rf"127\.0\.0\.1:{first.port}: Address already in use"):
        open_store("127.0.0.1", first.port)
