"""Which nodes there are and where they meet, as torchrun's flags say it."""

from __future__ import annotations

from typing import Self

import msgspec

from resumable.launch.errors import UsageError
from resumable.launch.plan.torchrun_flags import Flags
from resumable.launch.system.addresses import is_loopback

_LOOPBACK = "127.0.0.1"
_DEFAULT_PORT = 29500
"""torchrun's."""
_UNNAMED = "none"
"""torchrun's name for a job without one."""
_NEAR: dict[str, str | int] = {
    "last_call_timeout": 2,
    "keep_alive_interval": 1,
    "keep_alive_max_attempt": 3,
    "poll_ms": 20,
}
"""Nodes on one machine meet at once, and are seen to be gone after three seconds of silence."""


class Topology(msgspec.Struct, frozen=True, kw_only=True):
    """Nodes of a job and their meeting point; without more words, one node on this machine."""

    min_nodes: int = 1
    max_nodes: int = 1
    endpoint: str | None = None
    """`host:port` of a rendezvous that is not ours; None: the supervisor hosts it for nodes on this machine."""
    run_id: str = ""
    """The job's name at the rendezvous, which launchers that are to meet share; empty: one of its own for every run."""
    store_address: str = _LOOPBACK
    store_port: int = 0
    """0: the system chooses."""
    local_addr: str | None = _LOOPBACK
    rdzv_configs: dict[str, str | int] = {}

    def for_hosts(self) -> Self:
        """The same for nodes with a host name of their own, at which the others reach what they open."""
        return msgspec.structs.replace(self, local_addr=None)

    @property
    def is_one_machine(self) -> bool:
        """Whether all nodes are processes of this machine, started by one supervisor."""
        return self.endpoint is None

    @property
    def is_near(self) -> bool:
        """Whether all nodes are on this machine, whoever starts them: from elsewhere the loopback cannot be reached."""
        return self.endpoint is None or is_loopback(self.endpoint.rpartition(":")[0].strip("[]"))

    @property
    def num_local_nodes(self) -> int:
        """Nodes that this supervisor starts."""
        return self.max_nodes if self.is_one_machine else 1


def topology_of(flags: Flags, *, is_proof: bool) -> Topology:
    """What the flags ask for.

    Args:
        flags: torchrun's, checked.
        is_proof: The job is run several times, each time with all its nodes.

    Raises:
        UsageError: `--nnodes` is no number of nodes.
    """
    min_nodes, max_nodes = _num_nodes(str(flags["nnodes"]))
    endpoint = _endpoint(flags, is_one_of_several=max_nodes > 1 and flags["node_rank"] is not None, is_proof=is_proof)
    configs: dict[str, str | int] = {}
    if endpoint is None:
        configs = {"is_host": "false", **_unless_given(_NEAR, str(flags["rdzv_conf"]))}
    elif not flags["rdzv_endpoint"]:
        configs = {"is_host": str(not flags["node_rank"]).lower(), "node_rank": int(str(flags["node_rank"] or 0))}
    local_addr = flags["local_addr"]
    topology = Topology(
        min_nodes=min_nodes,
        max_nodes=max_nodes,
        endpoint=endpoint,
        run_id=_run_id(flags, endpoint, is_proof=is_proof),
        store_port=int(str(flags["master_port"] or 0)),
        local_addr=str(local_addr) if local_addr else None,
        rdzv_configs=configs,
    )
    return topology if local_addr or not topology.is_near else msgspec.structs.replace(topology, local_addr=_LOOPBACK)


def _num_nodes(text: str) -> tuple[int, int]:
    low, colon, high = text.partition(":")
    try:
        numbers = int(low), int(high if colon else low)
    except ValueError:
        raise UsageError(f"--nnodes {text}: expected N or MIN:MAX") from None
    if not 1 <= numbers[0] <= numbers[1]:
        raise UsageError(f"--nnodes {text}: expected 1 <= MIN <= MAX")
    return numbers


def _endpoint(flags: Flags, *, is_one_of_several: bool, is_proof: bool) -> str | None:
    """Where nodes that were started one by one meet, as under torchrun: an endpoint, or the address of node 0.

    Who gives a node its rank starts the others too, on this machine or elsewhere.
    """
    if flags["standalone"]:
        return None
    if flags["rdzv_endpoint"]:
        return str(flags["rdzv_endpoint"])
    if not is_proof and (is_one_of_several or flags["master_addr"] != _LOOPBACK):
        return f"{flags['master_addr']}:{flags['master_port'] or _DEFAULT_PORT}"
    return None


def _run_id(flags: Flags, endpoint: str | None, *, is_proof: bool) -> str:
    """A proof runs its job several times, and nodes of one run must not meet those of another."""
    name = str(flags["rdzv_id"])
    if endpoint is not None:
        return name
    return "" if is_proof or flags["standalone"] or name == _UNNAMED else name


def _unless_given(defaults: dict[str, str | int], rdzv_conf: str) -> dict[str, str | int]:
    """The defaults of which `--rdzv-conf`, `key=value,...`, says nothing."""
    given = {pair.partition("=")[0].strip() for pair in rdzv_conf.split(",")}
    return {key: value for key, value in defaults.items() if key not in given}
