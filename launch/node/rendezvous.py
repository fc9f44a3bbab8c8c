"""A rendezvous whose worker store is new in every round.

torch's dynamic rendezvous hands the same TCPStore to the workers of every round, without a prefix. After a restart gloo
then reads the addresses that dead ranks left there and fails with "connectFullMesh ... Connection refused" or hangs
(pytorch#135712; shown with plain torchrun by `tests/integration/test_upstream_restart.py`). Here the agent of group rank 0
opens a store on a port that the system chooses, publishes it under the round's own prefix, and closes the previous one.

The same place counts the rounds: `TORCHELASTIC_RESTART_COUNT` is each agent's own and misses membership changes, so it
names no incarnation. Ours is drawn from the job's store by group rank 0 and shared through the round's prefix.
"""

from __future__ import annotations

import copy
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

from torch.distributed import Store, TCPStore
from torch.distributed.elastic.rendezvous import (
    RendezvousHandler,
    RendezvousInfo,
    RendezvousParameters,
    RendezvousStoreInfo,
    rendezvous_handler_registry,
)
from torch.distributed.elastic.rendezvous.c10d_rendezvous_backend import create_backend
from torch.distributed.elastic.rendezvous.dynamic_rendezvous import DynamicRendezvousHandler, create_handler

from resumable.launch.node.stores import open_store
from resumable.launch.node.torch_private import (
    keep_near_stores_near,
    name_callers_without_sources,
    poll_every,
    skip_own_worker_store,
)

BACKEND = "resumable"
"""Name under which torch's registry knows this rendezvous."""

_ROUND_KEY = "resumable/round"


@dataclass
class Round:
    """The round that a node is in; the handler writes it, the rest of the node reads it."""

    counter: str
    """Key in the job's store that counts incarnations; starts of the same scenario share it."""
    before_join: Callable[[], object]
    """Called before every join, when no rank of the round before is left."""
    after_join: Callable[[int], object] = lambda _incarnation: None
    """Called with the incarnation, before its ranks are started."""
    first: int = 0
    """Number of the first incarnation."""
    before_ranks: Callable[[int], object] = lambda _incarnation: None
    """Called on one of the nodes with the incarnation, when all have joined and no rank is there."""
    incarnation: int = field(default=-1, init=False)


class FreshStoreRendezvous(RendezvousHandler):
    """torch's dynamic rendezvous with a new worker store for every round."""

    def __init__(self, inner: DynamicRendezvousHandler, store: Store, round_: Round, local_addr: str | None) -> None:
        self._inner = inner
        self._job_store = store
        self._round = round_
        self._local_addr = local_addr
        self._worker_store: TCPStore | None = None

    @property
    def use_agent_store(self) -> bool:
        """True: group rank 0's agent hosts the store, every rank is its client."""
        return True

    def get_backend(self) -> str:
        """Name in torch's registry."""
        return BACKEND

    def next_rendezvous(self) -> RendezvousInfo:
        """Join the next round; see the module's text for what differs from torch's."""
        self._round.before_join()
        info = self._inner.next_rendezvous()
        self._worker_store = None
        if info.rank == 0:
            address = self._local_addr or socket.getfqdn()
            self._worker_store = open_store(address)
            incarnation = self._round.first + self._job_store.add(self._round.counter, 1) - 1
            self._round.before_ranks(incarnation)
            info.store.set(_ROUND_KEY, f"{incarnation} {self._worker_store.port} {address}")
        incarnation_text, port, address = info.store.get(_ROUND_KEY).decode().split(" ", 2)
        self._round.incarnation = int(incarnation_text)
        self._round.after_join(self._round.incarnation)
        return RendezvousInfo(info.store, info.rank, info.world_size, RendezvousStoreInfo(address, int(port)))

    def is_closed(self) -> bool:
        """See torch's handler."""
        return self._inner.is_closed()

    def set_closed(self) -> None:
        """See torch's handler."""
        self._inner.set_closed()

    def num_nodes_waiting(self) -> int:
        """See torch's handler."""
        return self._inner.num_nodes_waiting()

    def get_run_id(self) -> str:
        """See torch's handler."""
        return self._inner.get_run_id()

    def shutdown(self) -> bool:
        """Close the rendezvous and the worker store."""
        self._worker_store = None
        return self._inner.shutdown()


def register() -> None:
    """Make `BACKEND` known to torch.

    The parameters carry the `Round` under the key "round"; under "poll_ms", where nodes are near, how long a node waits
    before it looks at the state of the rendezvous again; and under "node_rank" a rank that nodes are sorted by.
    """
    rendezvous_handler_registry.register(BACKEND, _create)
    name_callers_without_sources()
    keep_near_stores_near()


def _create(params: RendezvousParameters) -> FreshStoreRendezvous:
    poll_ms = params.get_as_int("poll_ms")
    if poll_ms is not None:
        poll_every(poll_ms / 1000)
    backend, store = create_backend(params)
    inner = create_handler(store, backend, _named_by_rank(params))
    skip_own_worker_store(inner, store)
    return FreshStoreRendezvous(inner, store, params.config["round"], params.local_addr)


def _named_by_rank(params: RendezvousParameters) -> RendezvousParameters:
    """Torch ranks nodes in the order of their addresses, which it needs for nothing else here."""
    node_rank = params.get_as_int("node_rank")
    if node_rank is None:
        return params
    named = copy.copy(params)
    named.local_addr = f"{node_rank:06}-{params.local_addr or socket.getfqdn()}"
    return named
