from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from resumable.launch import Fault, Launcher
from resumable.launch.errors import UsageError


@pytest.fixture(scope="module")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    with Launcher(nproc_per_node=2, root=tmp_path_factory.mktemp("runs")) as launcher:
        yield launcher


def sum_over_ranks(number: float, *, bonus: float = 0) -> float:
    dist.init_process_group("gloo")
    total = torch.tensor([number])
    dist.all_reduce(total)
    return float(total) + bonus


KIND = str(Path(__file__).parent / "kinds" / "job.py")


def test_what_a_killed_job_saves_is_compared_with_an_undisturbed_one(launcher: Launcher) -> None:
    """Only the average that it saves is different: each run has a folder of its own, in which files have the same names."""
    arguments = (KIND, "Averaging", "--bug", "lost")
    undisturbed = [launcher.run(*arguments) for _ in range(2)]
    verdict = launcher.run(*arguments, faults=[Fault.sigkill(rank=1, step=10)]).check(against=undisturbed)
    assert (verdict.outcome, verdict.reason.split(":")[0]) == ("invalid", "artefacts")


def test_a_function_runs_on_every_rank_and_returns_its_value(launcher: Launcher) -> None:
    """Arguments arrive, collectives work, and each rank's value comes back."""
    result = launcher.run(sum_over_ranks, 3, bonus=0.5)
    assert (result.has_succeeded, result.num_ranks) == (True, 2)
    assert [result.rank(rank).value for rank in range(2)] == [6.5, 6.5]


def test_a_closure_travels_by_value(launcher: Launcher) -> None:
    """A function that no module holds can be a job too."""
    offset = 40
    result = launcher.run(lambda: offset + int(os.environ["RANK"]))
    assert [result.rank(rank).value for rank in range(2)] == [40, 41]


def test_a_function_that_raises_has_not_succeeded(launcher: Launcher) -> None:
    """The error is in the rank's own words, and there is no value."""
    result = launcher.run(sum_over_ranks, "three")
    assert (result.has_succeeded, result.rank(0).value) == (False, None)
    assert "ValueError: too many dimensions" in result.rank(0).output


def test_a_rank_that_does_not_exist_is_refused(launcher: Launcher) -> None:
    """The message names the ranks that there are."""
    with pytest.raises(UsageError, match=r"rank 2: there are \[0, 1\]"):
        launcher.run(os.getpid).rank(2)


def test_a_killed_job_equals_the_undisturbed_one(launcher: Launcher) -> None:
    """The rank's batches are those of the run without a fault, and the checks say so."""
    undisturbed = launcher.run()
    killed = launcher.run(faults=[Fault.sigkill(rank=1, step=37)])
    assert killed.rank(1).num_incarnations == 2
    assert killed.rank(1).batches == undisturbed.rank(1).batches
    assert killed.check(against=undisturbed).outcome == "valid"
    assert [type(record).__name__ for record in killed.history.rounds] == ["RoundStarted"] * 2


def test_a_flag_that_there_is_not_is_refused_at_once() -> None:
    """Before anything is started."""
    with pytest.raises(UsageError, match="--no-such-flag"):
        Launcher(2, no_such_flag=1)


def test_the_fixture_of_the_pytest_plugin_verifies_a_script(tmp_path: Path) -> None:
    """A project has one test with a mark and a fixture, and no conftest."""
    (tmp_path / "test_training.py").write_text("""
import pytest

@pytest.mark.resume(nproc_per_node=2, grace=3)
def test_training_survives_a_kill(resume_rig):
    verdict = resume_rig.verify(faults=["sigkill@step=7:rank=1"])
    assert verdict.outcome == "valid", verdict.reason
""")
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "--strict-markers", "-p", "no:cacheprovider"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False)
    assert (ended.returncode, "1 passed" in ended.stdout) == (0, True), ended.stdout + ended.stderr
