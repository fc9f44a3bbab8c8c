from __future__ import annotations

from pathlib import Path

import pytest

from resumable.launch.cli.continuation import alone_in, open_sweep
from resumable.launch.errors import LaunchError, UsageError
from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.sweep.points import with_points
from tests.launch.plans import options_of, plan_of
from tests.launch.sweep.sweeps import LENGTH

WORDS = ("--nproc-per-node", "2", "--at", "every:3", "train.py", "--lr", "1")


@pytest.fixture
def run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDir:
    """A sweep whose points are drawn."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text("pass\n")
    plan, made = open_sweep(options_of("sweep", *WORDS), run_dir="run")
    made.write_plan(with_points(plan, LENGTH))
    return made


@pytest.mark.parametrize("words", [(), WORDS, ("--jobs", "3", "--budget", "5s", "-q"), ("--jobs", "1", *WORDS)])
def test_a_sweep_goes_on_with_the_same_arguments_or_none(run_dir: RunDir, words: tuple[str, ...]) -> None:
    """The stored plan counts, its points included; how many jobs and how long may change."""
    plan, opened = open_sweep(options_of("sweep", *words), run_dir="run")
    assert (run_dir.root, run_dir.read_plan()) == (opened.root, plan)
    assert plan.points


@pytest.mark.parametrize(
    ("words", "difference"),
    [
        (("--nproc-per-node", "4", *WORDS[2:]), "scenarios.0.nproc_per_start"),
        (("--nproc-per-node", "2", "--at", "all", *WORDS[4:]), "sweep.at='every:3' there, 'all' here"),
        ((*WORDS, "--epochs", "7"), "script.arguments"),
        (("--seed", "5", *WORDS), "seed=0 there, 5 here"),
    ],
)
def test_other_arguments_are_refused(run_dir: RunDir, words: tuple[str, ...], difference: str) -> None:
    """The message says what differs; the evidence stays as it is."""
    before = run_dir.plan_file.read_bytes()
    with pytest.raises(UsageError, match="holds a different sweep") as caught:
        open_sweep(options_of("sweep", *words), run_dir="run")
    assert difference in str(caught.value)
    assert before == run_dir.plan_file.read_bytes()


def test_the_run_of_another_command_is_not_touched(run_dir: RunDir) -> None:
    """A `verify` cannot be gone on with."""
    run_dir.write_plan(plan_of("verify", "train.py"))
    with pytest.raises(LaunchError, match="holds a run already"):
        open_sweep(options_of("sweep"), run_dir="run")


def test_a_run_directory_that_cannot_be_written_is_one_line(run_dir: RunDir) -> None:
    """Here the lock is a folder; on a read-only disk it cannot be made."""
    (run_dir.root / "lock").mkdir()
    with pytest.raises(LaunchError, match=r"--run-dir .*: cannot be written"), alone_in(run_dir):
        pass


def test_a_run_directory_that_cannot_be_is_one_line() -> None:
    """No folder has such a name."""
    with pytest.raises(LaunchError, match=r"--run-dir x+: cannot be written \(File name too long\)"):
        open_sweep(options_of("sweep"), run_dir="x" * 5000)


def test_two_sweeps_never_share_a_run_directory(run_dir: RunDir) -> None:
    """Each would remove what the other is at; once the first has ended, the second may."""
    with alone_in(run_dir), pytest.raises(UsageError, match="a different sweep is running there"), alone_in(run_dir):
        pass
    with alone_in(run_dir):
        pass
