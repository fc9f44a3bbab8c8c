from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec
import pytest

from resumable.launch.cluster import LocalCluster
from resumable.launch.evidence.run_dir import RunDir, ScenarioDir
from resumable.launch.evidence.seal import evidence_files
from resumable.launch.judge.verdict import Verdict, judge
from resumable.launch.run.supervisor import Supervisor, has_succeeded
from tests.launch.plans import plan_of
from tests.launch.sealed import seal_again

TIMEOUT_S = 240


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A verdict, with what its violations say."""

    verdict: Verdict

    @property
    def outcome(self) -> str:
        return self.verdict.outcome

    @property
    def explanations(self) -> str:
        """Every sentence of every violation, what to do about it too, and the summaries of the checks that found one."""
        return "\n".join(
            sentence
            for report in self.verdict.checks
            if report.result.outcome == "invalid"
            for sentence in [
                report.result.summary,
                *(f"{one.sentence} {one.explanation} {one.advice}" for one in report.result.violations),
            ]
        )


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A command `resumable` that has ended."""

    exit_code: int
    output: str
    errors: str
    run_dir: Path


@pytest.fixture(autouse=True)
def hash_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fixed for what a test starts itself: a node then needs one fork server, and imports torch once.

    The nodes that stay warm are older than that and have two, as have those of the tests that say so.
    """
    monkeypatch.setenv("PYTHONHASHSEED", "0")


Verify = Callable[..., Judged]
Resumable = Callable[..., Finished]


def run_resumable(folder: Path, command: str, *arguments: str) -> Finished:
    """Run the command as a user would, with the evidence in `folder`."""
    run_dir = folder / "run"
    finished = subprocess.run(
        [sys.executable, "-m", "resumable.launch", command, "--quiet", "--run-dir", str(run_dir), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    return Finished(exit_code=finished.returncode, output=finished.stdout, errors=finished.stderr, run_dir=run_dir)


@pytest.fixture
def resumable(tmp_path: Path) -> Resumable:
    """The command, with the evidence in a folder of this test."""
    return partial(run_resumable, tmp_path)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """A node that stays warm for all tests of this process: torch is imported once."""
    plan = plan_of("verify")
    logs = tmp_path_factory.mktemp("nodes")
    with LocalCluster(plan.topology, nproc_per_node=4, preload=plan.preload, log_dir=logs) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def three_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """Nodes of one rank that stay warm for all tests of this process; two of them are started at a time."""
    plan = plan_of("verify", "--nnodes", "3")
    logs = tmp_path_factory.mktemp("nodes")
    with LocalCluster(plan.topology, nproc_per_node=1, preload=plan.preload, log_dir=logs) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def references() -> dict[bytes, Path]:
    """Folders of the uninterrupted runs of this process: a job that several tests break needs one.

    It stands for both references of a plan, but where a test says that the job does not repeat itself.
    """
    return {}


@pytest.fixture
def verify(tmp_path: Path, cluster: LocalCluster, references: dict[bytes, Path]) -> Verify:
    """`resumable verify` without its cold start: the same plan, scenarios and verdict on the warm node."""
    return partial(verify_on, tmp_path / "run", cluster, references)


@pytest.fixture
def verify_nodes(tmp_path: Path, three_nodes: LocalCluster, references: dict[bytes, Path]) -> Verify:
    """The same on three nodes of one rank; `--nnodes` says with how few the job goes on."""
    return partial(verify_on, tmp_path / "run", three_nodes, references)


def verify_on(
    root: Path, cluster: LocalCluster, references: dict[bytes, Path], *arguments: str, repeats: bool = True
) -> Judged:
    """`resumable verify` on nodes that are warm, with the evidence in `root`."""
    plan = plan_of("verify", *arguments)
    run_dir = RunDir(root=root)
    run_dir.root.mkdir()
    run_dir.write_plan(plan)
    supervisor = Supervisor(plan, run_dir, cluster)
    for scenario in plan.scenarios:
        scenario_dir = run_dir.scenario(scenario.name)
        what = msgspec.structs.replace(scenario, name="") if repeats else scenario
        undisturbed = msgspec.json.encode((plan.script, plan.torchrun, plan.content, what))
        if undisturbed in references:
            _copy(references[undisturbed], scenario_dir)
            continue
        ended = supervisor.run(scenario)
        if not scenario.faults and has_succeeded(ended):
            references[undisturbed] = scenario_dir.root
    return Judged(verdict=judge(plan, run_dir))


def _copy(reference: Path, scenario_dir: ScenarioDir) -> None:
    """Put the evidence of an uninterrupted run here, as that of this scenario: files that were saved are named by paths."""
    shutil.copytree(reference, scenario_dir.root, symlinks=True)
    for name in evidence_files(scenario_dir):
        file = scenario_dir.root / name
        file.write_bytes(file.read_bytes().replace(bytes(reference), bytes(scenario_dir.root)))
    seal_again(scenario_dir)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "integration" not in item.path.parts or not isinstance(item, pytest.Function):
            continue
        item.add_marker(pytest.mark.integration)
