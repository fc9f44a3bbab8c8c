"""What the supervisor asks of a node."""

from __future__ import annotations

import msgspec


class NodeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One start of the job on one node; the plan in the run directory holds everything else."""

    run_dir: str
    scenario: str
    working_directory: str
    node: int
    """Number of the node at the supervisor, from 0; its group rank may differ."""
    run_id: str
    """Unique to this start of the job: nodes that share it find each other."""
    incarnation_counter: str
    """Key in the rendezvous store that counts incarnations; all starts of one scenario share it."""
    endpoint: str
    """Rendezvous store, `host:port`."""
    rdzv_configs: dict[str, str | int]
    """Rendezvous settings that replace the plan's."""
    local_addr: str | None
    """Address under which this node's stores are reached; None: torch resolves the host's name."""
    nproc_per_node: int
    max_restarts: int
