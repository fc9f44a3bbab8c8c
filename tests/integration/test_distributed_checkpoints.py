"""Checkpoints that are folders with a part of every rank, and what becomes of a job that does not look at them closely."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.integration.conftest import Judged, Verify

JOB = str(Path(__file__).parent / "jobs" / "sharded.py")


def judged(verify: Verify, faults: str, *arguments: str) -> Judged:
    options = [word for fault in faults.split() for word in ("--fault", fault)]
    return verify("--nproc-per-node", "2", "--hang-timeout", "5", *options, JOB, *arguments)


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param("sigkill@step=9:rank=1", id="in training"),
        pytest.param("sigkill@save#2+during:rank=0", id="in a save"),
        pytest.param("sigkill@save#2+after:rank=1 sigkill@load#0:rank=1", id="after a save, and after the load"),
        pytest.param("exception@save#2+during:rank=1", id="an error in a save"),
        pytest.param("diskfull@save#2:rank=0", id="a full disk"),
        pytest.param("hang@save#2+during:rank=1", id="a save that hangs"),
        pytest.param("torn@save#2:rank=1", id="torn"),
        pytest.param("corrupt@save#2:rank=0", id="corrupt"),
    ],
)
def test_a_job_that_knows_which_folder_is_whole_goes_on_exactly(verify: Verify, faults: str) -> None:
    """However many files a checkpoint is made of, it is counted, interrupted, damaged and looked for as one."""
    result = judged(verify, faults)
    assert (result.outcome, result.verdict.reason) == ("valid", "")


@pytest.mark.parametrize(
    "faults", ["sigkill@step=9:rank=1", "sigkill@save#2+during:rank=0", "exception@save#2+during:rank=0"]
)
def test_so_does_one_that_saves_in_the_background(verify: Verify, faults: str) -> None:
    """What was begun and not finished is passed over."""
    result = judged(verify, faults, "--async")
    assert (result.outcome, result.verdict.reason) == ("valid", "")


def test_what_was_finished_in_the_background_may_be_passed_over_too(verify: Verify) -> None:
    """The job says that a folder is whole when it saves the next one."""
    result = judged(verify, "sigkill@step=9:rank=1", "--async", "--done")
    assert (result.outcome, result.verdict.reason) == ("valid", "")


@pytest.mark.parametrize(
    ("faults", "flags", "explanation"),
    [
        (
            "torn@save#2:rank=1",
            ["--blindly"],
            r"step-0012/__1_0\.distcp was damaged \(torn\)",
        ),
        ("corrupt@save#2:rank=0", ["--blindly"], r"step-0012/__0_0\.distcp was damaged \(corrupt\)"),
        ("sigkill@save#2+during:rank=1", ["--blindly"], r"step-0012 was left half written"),
        ("sigkill@save#2+during:rank=0", ["--blindly", "--over"], r"step-latest was left half written"),
        (
            "sigkill@save#2+during:rank=1",
            ["--over"],
            r"started from scratch, though .*step-latest of step 8 .* beside its place",
        ),
        (
            "sigkill@save#2+during:rank=0",
            ["--over", "--async"],
            r"started from scratch, though .*step-latest of step 8 .*",
        ),
    ],
)
def test_a_job_that_does_not_is_caught(verify: Verify, faults: str, flags: list[str], explanation: str) -> None:
    """A sentence says what was done to the folder, or what the job did to it."""
    result = judged(verify, faults, *flags)
    assert result.outcome == "invalid", result.verdict.reason
    assert re.search(explanation, result.explanations), result.explanations


SHARDED = str(Path(__file__).parent / "jobs" / "fully_sharded.py")


def resized(verify: Verify, num_ranks: int, *arguments: str) -> Judged:
    """Four ranks save their shards, and another number goes on."""
    restart = ("--restart", "job", "--restart-nproc-per-node", str(num_ranks))
    return verify("--nproc-per-node", "4", *restart, "--fault", "sigkill@step=6:rank=1", SHARDED, *arguments)


def test_shards_that_come_back_are_in_no_doubt_where_numbers_do_not_repeat(verify: Verify) -> None:
    """Each rank holds its own after a step, and all of them together are what was saved."""
    arguments = ("--nproc-per-node", "2", "--fault", "sigkill@step=5:rank=1", SHARDED, "--noise")
    result = verify(*arguments, repeats=False)
    assert (result.outcome, result.verdict.reason) == ("valid", "")


@pytest.mark.parametrize("num_ranks", [2, 8])
def test_shards_that_are_dealt_out_again_are_the_same_state(verify: Verify, num_ranks: int) -> None:
    """Parameters and moments lie on another number of ranks, element by element as they were."""
    result = resized(verify, num_ranks)
    assert (result.outcome, result.verdict.reason) == ("valid", "")
    [summary] = [report.result.summary for report in result.verdict.checks if report.name == "restored"]
    assert summary == "1 restart: parameters and optimizer as saved after 6 steps"


@pytest.mark.parametrize("num_ranks", [2, pytest.param(8, marks=pytest.mark.thorough)])
def test_moments_that_one_shard_lacks_are_named(verify: Verify, num_ranks: int) -> None:
    """Nothing else shows it: sums are rounded differently on another number of ranks."""
    result = resized(verify, num_ranks, "--zero-moments", "1")
    sentence = "the ranks together in incarnation 1 went on from step 6 with optimizer state different from what"
    assert result.outcome == "invalid"
    assert result.verdict.reason.startswith(f"restored: {sentence}")
