"""Nodes that are forks of one process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from resumable.launch.cluster.local import LocalCluster
from resumable.launch.plan.topology import Topology
from resumable.launch.system.processes import family, is_running

pytestmark = pytest.mark.slow


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LocalCluster]:
    """Two nodes."""
    topology = Topology(min_nodes=2, max_nodes=2)
    with LocalCluster(topology, nproc_per_node=1, preload=("colorsys",), log_dir=tmp_path) as made:
        yield made


def test_each_is_a_process_tree_of_its_own_and_can_be_lost_and_replaced(cluster: LocalCluster) -> None:
    """What belongs to one carries its tag, for whoever looks from outside, and goes with it; the other stays."""
    lost, other = cluster.nodes
    trees = [set(family(node.tag)) for node in cluster.nodes]
    assert [len(tree) > 1 for tree in trees] == [True, True]
    assert (trees[0] & trees[1], psutil.Process() in trees[0] | trees[1]) == (set(), False)
    lost.lose()
    assert [list(filter(is_running, tree)) for tree in trees] == [[], list(trees[1])]
    again = cluster.replace(lost.number)
    again.wait_until_warm()
    assert ([again, other], len(family(again.tag)) > 1) == (list(cluster.nodes), True)
