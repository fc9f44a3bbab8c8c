from __future__ import annotations

import pytest

from resumable.launch.plan.topology import Topology
from tests.launch.plans import plan_of


def topology(*arguments: str) -> Topology:
    return plan_of("verify", *arguments).topology


def test_a_job_has_the_name_that_it_was_given() -> None:
    """Runs of a proof have names of their own, and so has a job that was given none."""
    named = ("--rdzv-id", "job", "-m", "timeit")
    runs = [["run", *named], ["run", "-m", "timeit"], ["run", "--standalone", *named], ["verify", *named]]
    assert [plan_of(*words).topology.run_id for words in runs] == ["job", "", "", ""]


def test_launchers_that_meet_share_a_name() -> None:
    """torchrun's own, if they were given none."""
    words = ["run", "--rdzv-endpoint", "host:1", "-m", "timeit"]
    assert plan_of(*words).topology.run_id == "none"


@pytest.mark.parametrize(
    ("words", "endpoint"),
    [
        (("--nnodes", "2", "--node-rank", "0"), "127.0.0.1:29500"),
        (("--nnodes", "2", "--node-rank", "1", "--master-port", "7"), "127.0.0.1:7"),
        (("--nnodes", "2", "--node-rank", "1", "--master-addr", "host"), "host:29500"),
        (("--nnodes", "1", "--node-rank", "0"), None),
        (("--nnodes", "2", "--master-port", "7"), None),
    ],
)
def test_a_node_with_a_rank_is_one_of_several(words: tuple[str, ...], endpoint: str | None) -> None:
    """The others are started by hand too, even on this machine; without ranks all are started here."""
    assert plan_of("run", *words, "-m", "timeit").topology.endpoint == endpoint


def test_the_node_of_rank_0_hosts_the_store() -> None:
    """As under torchrun; the others look for it."""
    made = [plan_of("run", "--nnodes", "2", "--node-rank", rank, "-m", "timeit") for rank in "01"]
    assert [plan.topology.rdzv_configs for plan in made] == [
        {"is_host": "true", "node_rank": 0},
        {"is_host": "false", "node_rank": 1},
    ]


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
