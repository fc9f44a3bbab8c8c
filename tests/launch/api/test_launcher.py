"""The launcher for Python, on nodes that answer at once."""

from __future__ import annotations

import contextlib
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from resumable.launch import Fault, Launcher
from resumable.launch.errors import NodeError, ScriptNotFoundError, UsageError
from tests.launch.plans import plan_of


class Stage:
    """Stands for the cluster and the supervisor of every run."""

    def __init__(self) -> None:
        self.num_clusters = self.num_closed = 0
        self.runs: list[object] = []
        self.act: Callable[[], None] = lambda: None

    @contextlib.contextmanager
    def cluster_of(self, *_: object):
        self.num_clusters += 1
        yield self.num_clusters
        self.num_closed += 1

    def supervisor(self, plan: object, _run_dir: object, cluster: object) -> SimpleNamespace:
        def run(_scenario: object) -> list[object]:
            self.runs.append(cluster)
            self.act()
            return []

        return SimpleNamespace(run=run, interrupt=lambda: None)


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stage:
    stage = Stage()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("resumable.launch.api.launcher.cluster_of", stage.cluster_of)
    monkeypatch.setattr("resumable.launch.api.launcher.Supervisor", stage.supervisor)
    return stage


def die() -> None:
    raise NodeError("node 0 is gone")


def test_after_the_death_of_a_node_the_next_run_has_new_ones(stage: Stage) -> None:
    """The old ones are ended first."""
    with Launcher() as launcher:
        launcher.run()
        stage.act = die
        with pytest.raises(NodeError):
            launcher.run()
        assert stage.num_closed == 1
        stage.act = lambda: None
        launcher.run()
        launcher.run()
    assert (stage.runs, stage.num_closed) == ([1, 1, 2, 2], 2)


def test_runs_on_warm_nodes_wait_for_one_another(stage: Stage) -> None:
    """Two threads that ask the same nodes would get each other's answers."""
    with Launcher() as launcher:
        second = threading.Thread(target=launcher.run)

        def while_the_second_waits() -> None:
            stage.act = lambda: None
            second.start()
            second.join(0.3)
            assert len(stage.runs) == 1

        stage.act = while_the_second_waits
        launcher.run()
        second.join()
    assert stage.runs == [1, 1]


@pytest.mark.parametrize(("job", "reason"), [("nope.py", "does not exist"), (".", "is a folder without __main__.py")])
def test_a_script_that_there_is_not_is_refused(stage: Stage, job: str, reason: str) -> None:
    """Before anything is written or started."""
    with pytest.raises(ScriptNotFoundError, match=rf"script '{job}' {reason}"):
        Launcher(root="runs").run(job)
    assert (stage.runs, Path("runs").exists()) == ([], False)


@pytest.mark.parametrize(
    "flags",
    [
        {"nproc_per_node": 0},
        {"nnodes": "3:2"},
        {"no_such_flag": 1},
        {"hang_timeout": -1},
        {"grace": "soon"},
        {"max_restarts": -1},
        {"start_method": "spawn"},
        {"restart": "never"},
        {"restart_nproc_per_node": 2},
        {"monitor_interval": "often"},
        {"numa_binding": "galaxy"},
        {"virtual_local_rank": 1},
        {"rdzv_conf": True},
        {"training_script": "train.py"},
    ],
    ids=str,
)
def test_a_flag_that_cannot_be_is_refused_at_once(flags: dict[str, Any]) -> None:
    """The message names it."""
    with pytest.raises(UsageError, match=f"--{min(flags).replace('_', '-')}"):
        Launcher(**flags)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, ()),
        ({"nnodes": 2, "max_restarts": 3}, ("--nnodes", "2", "--max-restarts", "3")),
        ({"restart": "job", "restart_nproc_per_node": 1}, ("--restart", "job", "--restart-nproc-per-node", "1")),
        ({"hang_timeout": 7, "grace": 2.5, "content": True}, ("--hang-timeout", "7", "--grace", "2.5", "--content")),
        ({"monitor_interval": 0.5, "rdzv_conf": "timeout=9"}, ("--monitor-interval=.5", "--rdzv-conf=timeout=9")),
        ({"preload": ["json"], "seed": 3}, ("--preload", "json", "--seed", "3")),
        ({"master_port": "0", "virtual_local_rank": True}, ("--master-port", "0", "--virtual-local-rank")),
    ],
    ids=str,
)
@pytest.mark.usefixtures("stage")
def test_options_mean_what_the_flags_of_the_command_line_mean(options: dict[str, Any], words: tuple[str, ...]) -> None:
    """The plans differ in nothing but the command."""
    fault = "sigkill@step=7:rank=0"
    verify = plan_of("verify", "--nproc-per-node", "2", "--fault", fault, *words)
    [faulted] = verify.points
    expected = msgspec.structs.replace(
        verify, command="python", scenarios=(msgspec.structs.replace(faulted, name="run"),)
    )
    actual = Launcher(2, **options).run(faults=fault).run_dir.read_plan()
    assert expected == actual


@pytest.mark.usefixtures("stage")
@pytest.mark.parametrize("method", ["run", "verify", "sweep"])
def test_what_belongs_to_the_mark_is_refused_at_the_call(method: str, tmp_path: Path) -> None:
    """A script has no keyword arguments: one that was dropped would let a different job pass."""
    (tmp_path / "train.py").touch()
    launcher = Launcher(root=tmp_path / "runs")
    faults = {"verify": {"faults": "sigkill@step=3:rank=0"}}.get(method, {})
    with pytest.raises(UsageError, match=r"nproc_per_node=: .*@pytest\.mark\.resume\(nproc_per_node=\.\.\.\)"):
        getattr(launcher, method)(str(tmp_path / "train.py"), nproc_per_node=2, **faults)
    assert not (tmp_path / "runs").exists()


def test_a_parameter_called_job_is_the_functions_own() -> None:
    """What is run is given by position alone."""

    def train(job: str) -> str:
        return job

    folder = Launcher().run(train, job="nightly").run_dir.root
    _, call = pickle.loads((folder / "call.pkl").read_bytes())
    _, *actual = pickle.loads(call)
    expected = [(), {"job": "nightly"}]
    assert expected == actual


@pytest.mark.parametrize("fault", ["sigkill@step=7:rank=0", Fault.sigkill(step=7, rank=0)])
@pytest.mark.usefixtures("stage")
def test_one_fault_needs_no_list(fault: str | Fault) -> None:
    """A text is one fault, not many letters."""
    [scenario] = Launcher().run(faults=fault).run_dir.read_plan().scenarios
    assert [str(each) for each in scenario.faults] == ["sigkill@step=7:rank=0"]


def test_a_mark_with_a_value_that_has_no_name_is_refused(tmp_path: Path) -> None:
    """The message shows the right form."""
    (tmp_path / "test_training.py").write_text(
        "import pytest\n@pytest.mark.resume(1)\ndef test_training(resume_rig):\n    pass\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    expected = "@pytest.mark.resume(1): name each value, as in @pytest.mark.resume(nproc_per_node=2)"
    assert (ended.returncode, expected in ended.stdout, "Traceback" in ended.stdout) == (1, True, False)
