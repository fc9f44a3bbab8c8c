from __future__ import annotations

import pytest

from resumable.launch.plan.fault_grammar import parse_fault
from resumable.launch.plan.fault_model import num_restarts, resolve


def test_all_ranks_become_one_fault_each_and_cost_one_restart() -> None:
    """`rank=all` stands for every rank; they fire together."""
    faults = resolve([parse_fault("sigkill@step=7:rank=all")], world_size=3, seed=0)
    assert [(fault.number, fault.rank) for fault in faults] == [(0, 0), (1, 1), (2, 2)]
    assert num_restarts(faults) == 1


@pytest.mark.parametrize(
    ("fault", "expected"),
    [("nodeloss@step=7:node=1", 1), ("nodeloss(replace=0)@step=7:node=all", 2), ("partition(for=3)@step=7:node=1", 2)],
)
def test_a_node_that_comes_back_may_cost_another_restart(fault: str, expected: int) -> None:
    """Once for its loss, and once for its return."""
    faults = resolve([parse_fault(fault)], world_size=4, num_nodes=2, seed=0)
    assert num_restarts(faults) == expected


def test_all_nodes_become_one_fault_each() -> None:
    """`node=all` stands for every node, not for every rank."""
    faults = resolve([parse_fault("nodeloss@step=7:node=all")], world_size=4, num_nodes=2, seed=0)
    assert [(fault.rank, fault.node) for fault in faults] == [(None, 0), (None, 1)]


def test_a_drawn_rank_depends_on_the_seed_alone() -> None:
    """`rank=any` gives the same rank for the same seed, and every rank for some seed."""
    request = parse_fault("sigkill@step=7:rank=any")
    drawn = [resolve([request], world_size=4, seed=seed)[0].rank for seed in range(40)]
    assert drawn == [resolve([request], world_size=4, seed=seed)[0].rank for seed in range(40)]
    assert set(drawn) == {0, 1, 2, 3}


@pytest.mark.parametrize("when", ["save#1+during", "load#0"])
def test_any_rank_at_a_checkpoint_is_the_one_that_writes(when: str) -> None:
    """In most jobs only rank 0 saves, so another rank would wait for its moment in vain."""
    request = parse_fault(f"sigkill@{when}:rank=any")
    assert {resolve([request], world_size=4, seed=seed)[0].rank for seed in range(40)} == {0}
