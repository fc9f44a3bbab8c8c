from __future__ import annotations

from pathlib import Path

import pytest

from resumable.launch import Launcher
from resumable.launch.cli.main import main
from resumable.launch.errors import UsageError
from resumable.launch.run.setup import create_run_dir
from tests.launch.plans import plan_of

RESIZED = ("--restart", "job", "--restart-nproc-per-node", "4")
ELASTIC = ("--nnodes", "1:3")
ON_HOSTS = ("--nnodes", "2", "--rdzv-endpoint", "host:29500")


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text("pass\n")
    return "train.py"


@pytest.mark.parametrize(
    ("fault", "flags", "reason"),
    [
        ("sigkill@step=7:rank=2", (), "there are ranks 0 to 1"),
        ("sigkill@step=7:rank=4", RESIZED, "there are ranks 0 to 3"),
        ("sigkill@step=7:rank=6", ELASTIC, "there are ranks 0 to 5"),
        ("nodeloss@step=7:node=5", ("--nnodes", "2"), "there are nodes 0 to 1"),
    ],
)
def test_a_fault_of_nobody_is_refused_before_anything_is_made(
    script: str, capsys: pytest.CaptureFixture[str], fault: str, flags: tuple[str, ...], reason: str
) -> None:
    """One line: the fault, and what there is."""
    code = main(["verify", "--run-dir", "run", "--nproc-per-node", "2", *flags, "--fault", fault, script])
    assert (code, Path("run").exists()) == (2, False)
    assert f"resumable: --fault {fault}: {reason}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("fault", "flags"),
    [
        ("sigkill@step=7:rank=1", ()),
        ("sigkill@resume+1:rank=3", RESIZED),
        ("sigkill@step=7:rank=5", ELASTIC),
        ("nodeloss@step=7:node=2", ELASTIC),
        ("sigkill@step=7:rank=9", ON_HOSTS),
    ],
)
def test_a_fault_that_some_incarnation_can_have_is_not_refused(script: str, fault: str, flags: tuple[str, ...]) -> None:
    """After a restart there may be more ranks; of nodes on other machines nobody knows them."""
    expected = [fault]
    [scenario] = plan_of("run", "--nproc-per-node", "2", *flags, "--fault", fault, script).scenarios
    assert expected == [str(each) for each in scenario.faults]


def test_an_unknown_place_for_the_evidence_is_a_usage_error(script: str) -> None:
    """A name that no folder can have."""
    assert main(["verify", "--run-dir", "a\0b", script]) == 2


def test_a_fault_for_a_launcher_is_refused_as_well(tmp_path: Path) -> None:
    """Before its run has a folder."""
    with pytest.raises(UsageError, match="there are ranks 0 to 1"):
        Launcher(2, root=tmp_path / "runs").run(faults="sigkill@step=7:rank=2")
    assert not (tmp_path / "runs").exists()


def test_nobody_but_its_owner_reads_a_run_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs hold what a job printed; a folder that was there already is its owner's business."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir(mode=0o755)
    modes = [
        create_run_dir(plan_of("verify"), run_dir=name).root.stat().st_mode & 0o777 for name in (None, "a/b", "there")
    ]
    assert modes == [0o700, 0o700, 0o755]


@pytest.mark.parametrize("is_there", [False, True])
def test_git_is_told_to_leave_runs_alone(script: str, is_there: bool) -> None:
    """In a folder that was made for them; one that was there already, TensorBoard's for example, stays as it is."""
    if is_there:
        Path("runs").mkdir()
    create_run_dir(plan_of("verify", script))
    assert Path("runs/.gitignore").exists() != is_there
