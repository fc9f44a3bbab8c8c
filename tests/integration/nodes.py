"""A job on the nodes of a cluster, asked for without a supervisor, so that a test says when what happens."""

from __future__ import annotations

import select
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from resumable.launch.cluster import Cluster, ComposeCluster, Node
from resumable.launch.cluster.docker import find_compose, has_image
from resumable.launch.errors import UsageError
from resumable.launch.evidence.history_reader import read_history
from resumable.launch.evidence.node_records import NodeEnded
from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.node.protocol import NodeRequest
from resumable.launch.plan.plan import Plan
from tests.integration.waiting import wait_until
from tests.launch.plans import plan_of

COMPOSE_FILE = Path(__file__).parents[2] / "docker" / "compose.yaml"
IMAGE = "resumable:local"
TIMEOUT_S = 120
SCENARIO = "reference-1"
SCRIPT = """
import pathlib, time
from datetime import timedelta
import torch, torch.distributed as dist
dist.init_process_group("gloo", timeout=timedelta(seconds=4))
is_over = torch.zeros(1)
while not is_over:
    is_over.fill_(pathlib.Path("over").exists())
    dist.all_reduce(is_over)
    pathlib.Path(f"met-{dist.get_rank()}").touch()
    time.sleep(0.02)  # ranks that do nothing leave the processors to others
dist.destroy_process_group()
"""
"""Ranks that do nothing but meet, until the file `over` appears; they miss each other after four seconds."""


def plan_of_nodes(script: Path, nnodes: str) -> Plan:
    """One rank a node."""
    script.write_text(SCRIPT)
    return plan_of("verify", "--nnodes", nnodes, "--nproc-per-node", "1", str(script))


def need_containers() -> None:
    """Skip the test, and say so loudly, where no container can be started."""
    try:
        find_compose()
    except UsageError as error:
        pytest.skip(f"NO CONTAINERS TESTED: {error}")
    if not has_image(IMAGE):
        pytest.skip(f"NO CONTAINERS TESTED: build {IMAGE} with docker/image.sh")


def compose_cluster(plan: Plan, folder: Path) -> ComposeCluster:
    """A cluster of containers, for runs in `runs` and scripts in `code`; where there can be none, the test is skipped."""
    need_containers()
    return ComposeCluster(
        plan.topology,
        compose_file=COMPOSE_FILE,
        image=IMAGE,
        run_dir=folder / "runs",
        code_dir=folder / "code",
        log_dir=folder / "nodes",
    )


@dataclass(kw_only=True)
class Job:
    """One start of a job."""

    cluster: Cluster
    plan: Plan
    run_dir: RunDir
    answers: dict[int, NodeEnded] = field(default_factory=dict)
    asked: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.run_dir.root.mkdir()
        self.run_dir.write_plan(self.plan)
        self.scenario_dir = self.run_dir.scenario(SCENARIO)
        self.scenario_dir.create()
        self._seen = 0

    def ask(self, node: Node) -> None:
        """Let this node take part."""
        topology = self.cluster.topology
        self.asked.add(node.number)
        node.request(
            NodeRequest(
                run_dir=str(self.run_dir.root),
                scenario=SCENARIO,
                working_directory=str(self.scenario_dir.work),
                node=node.number,
                run_id=self.run_dir.root.name,
                incarnation_counter=self.run_dir.root.name,
                endpoint=self.cluster.endpoint,
                rdzv_configs=topology.rdzv_configs,
                local_addr=topology.local_addr,
                nproc_per_node=1,
                max_restarts=5,
            )
        )

    def start(self) -> None:
        """Let all nodes take part, and wait until they do."""
        for node in self.cluster.nodes:
            self.ask(node)
        self.wait_for_ranks(len(self.cluster.nodes))

    @property
    def worlds(self) -> list[int]:
        """Number of ranks in each incarnation."""
        history = read_history(self.scenario_dir)
        return [history.world_size(incarnation) for incarnation in history.incarnations]

    def wait_for_ranks(self, number: int) -> None:
        """Wait until so many ranks have met in an incarnation that is newer than the one of the last wait."""
        self._wait(lambda: self._ranks_of_newest() == number)
        self._seen = len(self.worlds)

    def wait_until_met(self) -> None:
        """Wait until the ranks of all nodes, for the first time, have done something together.

        Before, they talk to the store of one of them, and torch has no timeout for most of that.
        """
        files = [self.scenario_dir.work / f"met-{node.number}" for node in self.cluster.nodes]
        self._wait(lambda: all(file.exists() for file in files))

    def finish(self) -> list[str]:
        """End the job; says how each node that is there ended it, by number."""
        (self.scenario_dir.work / "over").touch()
        return [self.outcome_of(node) for node in self.cluster.nodes]

    def outcome_of(self, node: Node) -> str:
        """Wait until this node has answered."""
        self._wait(lambda: node.number in self.answers)
        return self.answers[node.number].outcome

    @property
    def busy_nodes(self) -> list[Node]:
        """Nodes that have not answered."""
        return [node for node in self.cluster.nodes if node.number in self.asked - self.answers.keys()]

    def _ranks_of_newest(self) -> int:
        """Ranks that have begun in the newest incarnation; 0 while not all of them have, or if it is not new."""
        history = read_history(self.scenario_dir)
        if len(history.incarnations) == self._seen:
            return 0
        newest = history.incarnations[-1]
        num_ranks = len(history.group(newest))
        return num_ranks if num_ranks == history.world_size(newest) else 0

    def _wait(self, condition: Callable[[], bool]) -> None:
        wait_until(lambda: self._listen() or condition(), timeout_s=TIMEOUT_S)

    def _listen(self) -> bool:
        """Take the answers that are there; always False."""
        silent = [node for node in self.cluster.nodes if node.number not in self.answers]
        ready, _, _ = select.select(silent, [], [], 0)
        for node in ready:
            answer = node.answer()
            if answer is not None:
                self.answers[node.number] = answer
        return False
