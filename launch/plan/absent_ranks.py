"""Ranks and nodes that a job never has: whoever names one is told before anything runs for nothing."""

from __future__ import annotations

from resumable.launch.errors import UsageError
from resumable.launch.plan.plan import Plan


def refuse_absent(plan: Plan) -> None:
    """Refuse faults of ranks or nodes that the job never has.

    Where nodes are started one by one on several machines, only they know how many ranks each has.

    Raises:
        UsageError: there is such a fault.
    """
    if not plan.topology.is_one_machine:
        return
    num_nodes = plan.topology.max_nodes
    for fault in (fault for scenario in plan.scenarios for fault in scenario.faults):
        if fault.rank is not None:
            refuse_rank(f"--fault {fault}", fault.rank, world_size=num_nodes * plan.max_nproc_per_node)
        if fault.node is not None and fault.node >= num_nodes:
            raise UsageError(f"--fault {fault}: there are nodes 0 to {num_nodes - 1}")


def refuse_rank(what: str, rank: int, *, world_size: int, number_from: str = "--nproc-per-node") -> None:
    """Refuse one rank.

    Args:
        what: Names it, as the user wrote it.
        rank: Its number.
        world_size: Ranks that there are.
        number_from: The option, or the command, that says how many.

    Raises:
        UsageError: it is none of them.
    """
    if rank >= world_size:
        ranks = f"there are ranks 0 to {world_size - 1}" if world_size > 1 else "there is rank 0 alone"
        raise UsageError(f"{what}: {ranks}; {number_from} says how many")
