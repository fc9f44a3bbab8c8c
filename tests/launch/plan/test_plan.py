from __future__ import annotations

from pathlib import Path

import pytest

from resumable.launch.errors import UsageError
from resumable.launch.plan.plan import BUILT_IN_JOB, Plan
from tests.launch.plans import plan_of


@pytest.fixture(autouse=True)
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text("pass\n")


def plan(*words: str) -> Plan:
    return plan_of("sweep", "--nproc-per-node", "2", *words)


def test_the_references_come_first_and_the_points_are_not_drawn_yet() -> None:
    """How long training is stands in no argument."""
    made = plan(
        "--at", "every:3", "--ranks", "0", "--kinds", "sigkill,exit(3)", "--sample", "4", "train.py", "--at", "x"
    )
    assert [scenario.name for scenario in made.scenarios] == ["reference-1", "reference-2"]
    assert (made.sweep.at, made.sweep.ranks, made.sweep.kinds) == ("every:3", "0", "sigkill,exit(3)")
    assert (made.sweep.sample, made.sweep.num_points, made.points) == (4, None, ())
    assert made.script.arguments == ("--at", "x")


def test_without_a_script_the_built_in_job_is_swept() -> None:
    """`resumable sweep` alone does something worth seeing."""
    assert plan().script.path == BUILT_IN_JOB


def test_restarts_and_watches_fit_the_kinds() -> None:
    """A preempted node starts the job anew; what stands still is noticed soon."""
    assert plan("--kinds", "preempt", "train.py").sweep.restarts.method == "job"
    assert plan("--kinds", "sigkill,hang", "train.py").hang_timeout_s == 30
    assert plan("train.py").hang_timeout_s == 300


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--kinds", "sigkil"), "unknown kind 'sigkil'"),
        (("--kinds", "diskfull"), "diskfull happens during a save"),
        (("--kinds", "torn", "--at", "save#1+before"), "torn needs a checkpoint that has been written"),
        (("--kinds", "exit"), "exit takes CODE, from 0 to 255"),
        (("--at", "soon"), "--at soon: expected all"),
        (("--ranks", "0,2"), "--ranks 0,2: there are ranks 0 to 1"),
        (("--sample", "0"), "--sample 0: expected at least one point"),
        (("--rdzv-endpoint", "host:1"), "sweep starts all its nodes itself"),
        (("--fault", "sigkill@step=3:rank=0"), "--fault"),
        (("--budget", "soon"), "--budget"),
    ],
)
def test_what_cannot_be_swept_is_refused_before_anything_starts(words: tuple[str, ...], reason: str) -> None:
    """The message names the argument."""
    with pytest.raises(UsageError) as caught:
        plan(*words, "train.py")
    assert reason in str(caught.value)
