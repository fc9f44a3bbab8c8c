from __future__ import annotations

import sys
from pathlib import Path

import pytest

from resumable.launch.errors import UsageError
from resumable.launch.plan.command_plans import command_plan, own_command, with_faults
from resumable.launch.plan.repeat_command import repeat_command
from tests.launch.plans import options_of


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text("pass\n")
    (tmp_path / "train.py").chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("words", [("--", sys.executable, "train.py"), ("python3", "train.py"), ("sh", "-c", "true")])
def test_a_program_is_a_command_with_and_without_dashes(words: tuple[str, ...], folder: Path) -> None:
    """A pasted one is understood; what it names of this folder is found from everywhere."""
    script = options_of("verify", *words).script
    assert (script.is_command, script.folder) == (True, str(folder))
    assert [word for word in script.arguments if word.endswith(".py")] == [str(folder / "train.py")] * (
        "train.py" in words
    )


@pytest.mark.parametrize("words", [("train.py",), ("./train.py", "--", "x"), ("--", "train.py")])
def test_a_script_is_a_script_although_it_can_be_run(words: tuple[str, ...]) -> None:
    """Its ranks are ours to start, which is faster."""
    assert not options_of("verify", *words).script.is_command


def test_what_is_nowhere_is_no_command() -> None:
    """The error is that of a script which does not exist."""
    assert own_command(("no-such-program-anywhere",)) is None


@pytest.mark.parametrize("command", ["run", "sweep"])
def test_who_cannot_use_a_command_says_what_to_write(command: str) -> None:
    """All that would do."""
    with pytest.raises(UsageError, match="write `resumable verify -- sh -c true` or `resumable record -- sh -c true`"):
        options_of(command, "sh", "-c", "true")


@pytest.mark.parametrize("fault", ["nodeloss@step=7:node=0", "preempt@step=7:node=0", "partition(for=5)@step=7:node=0"])
def test_faults_of_nodes_are_refused_with_the_reason(fault: str) -> None:
    """Nobody but the scheduler can take one."""
    with pytest.raises(UsageError, match="is done to a node, and those of sh are not ours"):
        command_plan(options_of("verify", "--fault", fault, "--", "sh"))


def test_faults_are_drawn_when_it_is_known_how_many_ranks_there_are() -> None:
    """Whoever names one that there is not is told."""
    options = options_of("verify", "--fault", "sigkill@step=7:rank=all", "--fault", "exit(3)@step=9:rank=1", "--", "sh")
    plan = command_plan(options)
    whole = with_faults(plan, options, world_size=3)
    assert (plan.points, [fault.rank for fault in whole.points[0].faults]) == ((), [0, 1, 2, 1])
    with pytest.raises(UsageError, match="there is rank 0 alone; the command says how many"):
        with_faults(plan, options, world_size=1)


@pytest.mark.parametrize(("words", "starts"), [((), 2), (("--restart", "agent"), 1), (("--max-restarts", "3"), 4)])
def test_the_command_is_started_again_unless_it_restarts_its_ranks_itself(words: tuple[str, ...], starts: int) -> None:
    """Once for every fault, if nobody says how often."""
    options = options_of("verify", *words, "--", "sh")
    plan = with_faults(command_plan(options), options, world_size=2)
    assert len(plan.points[0].nproc_per_start) == starts
    assert repeat_command(plan, plan.points[0]).endswith(" -- sh")
