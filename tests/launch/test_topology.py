from __future__ import annotations

import pytest

from launch.arguments import parse
from launch.planner import make_plan
from launch.topology import Topology


def topology(*arguments: str) -> Topology:
    return Topology.of(make_plan(parse(["verify", *arguments])))


def test_nodes_of_one_machine_are_soon_missed() -> None:
    """Silence for three seconds is enough."""
    configs = topology("--nnodes", "2:3").rdzv_configs
    assert (configs["keep_alive_interval"], configs["keep_alive_max_attempt"]) == (1, 3)


@pytest.mark.parametrize("given", ["last_call_timeout=7", "join_timeout=9, last_call_timeout=7"])
def test_what_the_command_line_says_of_the_rendezvous_stays(given: str) -> None:
    """Our own settings are defaults only."""
    assert "last_call_timeout" not in topology("--rdzv-conf", given).rdzv_configs


def test_no_node_hosts_the_store() -> None:
    """Not even where the command line speaks of the rendezvous."""
    assert topology("--rdzv-conf", "last_call_timeout=7").rdzv_configs["is_host"] == "false"


@pytest.mark.parametrize(("nnodes", "expected"), [("3", (3, 3)), ("2:3", (2, 3))])
def test_a_range_of_nodes_starts_with_the_most(nnodes: str, expected: tuple[int, int]) -> None:
    """As many as may take part."""
    nodes = topology("--nnodes", nnodes)
    assert (expected, expected[1]) == ((nodes.min_nodes, nodes.max_nodes), nodes.num_local_nodes)


def test_nodes_with_host_names_are_reached_by_them() -> None:
    """The loopback address would lead each to itself."""
    assert (topology().local_addr, topology().for_hosts().local_addr) == ("127.0.0.1", None)
