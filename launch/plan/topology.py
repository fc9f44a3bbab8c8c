"""Which nodes there are and where they meet, as torchrun's flags in a plan say it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from resumable.launch.plan.plan import Plan

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


@dataclass(frozen=True, kw_only=True)
class Topology:
    """Nodes of a job and their meeting point."""

    min_nodes: int
    max_nodes: int
    endpoint: str | None
    """`host:port` of a rendezvous that is not ours; None: the supervisor hosts it for nodes on this machine."""
    run_id: str
    """The job's name at the rendezvous, which launchers that are to meet share; empty: one of its own for every run."""
    store_address: str
    store_port: int
    """0: the system chooses."""
    local_addr: str | None
    rdzv_configs: dict[str, str | int]

    @classmethod
    def of(cls, plan: Plan) -> Self:
        """Read the plan's flags; they were validated when the plan was made."""
        flags = plan.torchrun
        low, _, high = str(flags["nnodes"]).partition(":")
        endpoint = _endpoint(plan)
        configs: dict[str, str | int] = {}
        if endpoint is None:
            configs = {"is_host": "false", **_unless_given(_NEAR, str(flags["rdzv_conf"]))}
        elif not flags["rdzv_endpoint"]:
            configs = {"is_host": str(not flags["node_rank"]).lower(), "node_rank": int(str(flags["node_rank"] or 0))}
        local_addr = flags["local_addr"]
        is_near = endpoint is None or endpoint.startswith(f"{_LOOPBACK}:")
        return cls(
            min_nodes=int(low),
            max_nodes=int(high or low),
            endpoint=endpoint,
            run_id=_run_id(plan, endpoint),
            store_address=_LOOPBACK,
            store_port=int(str(flags["master_port"] or 0)),
            local_addr=str(local_addr) if local_addr else (_LOOPBACK if is_near else None),
            rdzv_configs=configs,
        )

    def for_hosts(self) -> Self:
        """The same for nodes with a host name of their own, at which the others reach what they open."""
        return replace(self, local_addr=None)

    @property
    def is_one_machine(self) -> bool:
        """Whether all nodes are processes of this machine, started by one supervisor."""
        return self.endpoint is None

    @property
    def num_local_nodes(self) -> int:
        """Nodes that this supervisor starts."""
        return self.max_nodes if self.is_one_machine else 1


def _endpoint(plan: Plan) -> str | None:
    """Where nodes that were started one by one meet, as under torchrun: an endpoint, or the address of node 0.

    Who gives a node its rank starts the others too, on this machine or elsewhere.
    """
    flags = plan.torchrun
    if flags["standalone"]:
        return None
    if flags["rdzv_endpoint"]:
        return str(flags["rdzv_endpoint"])
    is_one_of_several = flags["node_rank"] is not None and flags["nnodes"] not in ("1", "1:1")
    if plan.command == "run" and (is_one_of_several or flags["master_addr"] != _LOOPBACK):
        return f"{flags['master_addr']}:{flags['master_port'] or _DEFAULT_PORT}"
    return None


def _run_id(plan: Plan, endpoint: str | None) -> str:
    """A proof runs its job several times, and nodes of one run must not meet those of another."""
    name = str(plan.torchrun["rdzv_id"])
    if endpoint is not None:
        return name
    return "" if plan.command != "run" or plan.torchrun["standalone"] or name == _UNNAMED else name


def _unless_given(defaults: dict[str, str | int], rdzv_conf: str) -> dict[str, str | int]:
    """The defaults of which `--rdzv-conf`, `key=value,...`, says nothing."""
    given = {pair.partition("=")[0].strip() for pair in rdzv_conf.split(",")}
    return {key: value for key, value in defaults.items() if key not in given}
