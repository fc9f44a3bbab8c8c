"""Kinds of jobs that people have, each right, and wrong in the way that is usual for it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from tests.integration.conftest import Verify

JOB = str(Path(__file__).parent / "kinds" / "job.py")
FEWER_RANKS = ("--restart", "job", "--restart-nproc-per-node", "1")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One kind of job under one fault."""

    kind: str
    fault: str
    bug: str = ""
    says: str = ""
    """Regular expression for the explanation of the bug, case ignored."""
    flags: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind}{' ' if self.bug else ''}{self.bug}, {self.fault}"


def pair(kind: str, fault: str, flags: tuple[str, ...] = (), **bugs: str) -> list[Case]:
    """The right job and its bugs, each with what is to be said of it."""
    right = Case(kind=kind, fault=fault, flags=flags)
    return [right, *(Case(kind=kind, fault=fault, bug=bug, says=says, flags=flags) for bug, says in bugs.items())]


CASES = [
    *pair("Scaled", "sigkill@step=13:rank=1", scale="scal"),
    *pair("Guarded", "sigkill@batch=13:rank=1", place="again|repeat|already"),
    *pair("OverTheBorder", "sigkill@epoch=1,batch=5:rank=1", gradients="gradient|accumul"),
    *pair("Accumulating", "sigkill@step=9:rank=0", epoch=r"48 samples"),
    *pair("AccumulatingWithoutSync", "sigkill@step=7:rank=0", skip="optimizer steps|2 steps|in steps"),
    *pair("SameGlobalBatch", "sigkill@step=5:rank=1", FEWER_RANKS, skip="micro-batch|trained on again|global batch 5"),
    *pair("Sharp", "sigkill@step=5:rank=1", radius="from step 6 on"),
    Case(kind="SharpOnAnyNumber", fault="sigkill@step=5:rank=1", flags=FEWER_RANKS),
    *pair("Uneven", "sigkill@step=14:rank=0", one="skipped 1 batch"),
    *pair("EndingInAnEpoch", "sigkill@step=11:rank=0", more="(past|beyond|after) the (end|last)|one (more )?step"),
    *pair("Staged", "sigkill@step=13:rank=0", stage="epoch 2 has 32 samples where the uninterrupted run's has 52"),
    *pair("Diced", "sigkill@step=13:rank=0", dice="loader|stream|interleav|turn"),
    *pair("Offsets", "sigkill@step=13:rank=1", draws="generator|random"),
    *pair("Dropping", "sigkill@step=11:rank=0", rank_0="rank 0's random|random state of rank|generator"),
    *pair("ByHand", "sigkill@step=9:rank=1", momentum="momentum of the script's own"),
    *pair("Grouped", "sigkill@step=11:rank=0", order="optimizer"),
    *pair("Averaging", "sigkill@step=10:rank=1", lost="ema", dropped="ema"),
    *pair("NormalisingAlone", "sigkill@step=10:rank=1", rank_0="rank 1"),
    *pair("Normalising", "sigkill@step=10:rank=1", parameters="buffer|statistic"),
    *pair(
        "Counting",
        "sigkill@step=10:rank=1",
        best="'best' as 2.5 instead of 0.5",
        history="history.json",
        counts="counts.npz",
    ),
    *pair("KeepingTheBest", "sigkill@step=10:rank=1", best="best"),
    *pair("CopyingTheBest", "sigkill@step=10:rank=1", best="best.pt after"),
    *pair("LinkingTheBest", "sigkill@step=10:rank=1", best="best.pt after"),
    *pair("Recommending", "sigkill@step=10:rank=1", table="optimizer"),
    *pair("Resized", "sigkill@step=9:rank=1", FEWER_RANKS, weights="parameter|model", moments="optimizer"),
    *pair("Turning", "sigkill@save#2+during:rank=0", turns="delet|remov"),
    *pair("Exporting", "sigkill@save#2+during:rank=0", nothing=r"model\.pt"),
    Case(kind="ScaledOften", fault="sigkill@batch=13:rank=1"),
    Case(kind="LookedAt", fault="sigkill@batch=6:rank=1"),
    Case(kind="Flushing", fault="sigkill@epoch=1,batch=5:rank=1"),
    Case(kind="Repeating", fault="sigkill@step=20:rank=0"),
    Case(kind="InTurns", fault="sigkill@epoch=2,batch=0:rank=0"),
    Case(kind="WarmedUp", fault="sigkill@step=7:rank=0"),
    Case(kind="AveragingInAThread", fault="sigkill@step=10:rank=1"),
    Case(kind="OddlyNamed", fault="sigkill@step=10:rank=1"),
    Case(kind="Preempted", fault="preempt(grace=20)@step=11:node=0"),
]

FURTHER = [
    *pair("Augmenting", "sigkill@step=19:rank=0", seed="augment|content"),
    Case(kind="ScaledOften", fault="sigkill@batch=14:rank=1"),
    *[Case(kind="Uneven", fault=f"sigkill@step={step}:rank=0") for step in (4, 7, 8, 22)],
    Case(kind="InTurns", fault="sigkill@step=4:rank=0"),
    Case(kind="InTurns", fault="sigkill@epoch=1,batch=3:rank=0"),
    Case(kind="AveragingInAThread", bug="lost", fault="sigkill@step=10:rank=1", says="ema"),
    Case(kind="Averaging", bug="clock lost", fault="sigkill@step=10:rank=1", says="ema"),
]


@pytest.mark.parametrize(
    "case", [*CASES, *(pytest.param(case, marks=pytest.mark.thorough) for case in FURTHER)], ids=str
)
def test_a_kind_of_job_is_judged_rightly(verify: Verify, case: Case) -> None:
    """VALID without its bug; with it INVALID, in words that name what was wrong."""
    bug = ("--bug", case.bug) if case.bug else ()
    judged = verify("--nproc-per-node", "2", *case.flags, "--fault", case.fault, JOB, case.kind, *bug)
    expected = ("invalid", True) if case.says else ("valid", True)
    is_named = re.search(case.says, judged.explanations, re.IGNORECASE) is not None
    assert expected == (judged.outcome, is_named), (judged.verdict.reason, judged.explanations)


def test_a_time_in_a_checkpoint_accuses_nobody(verify: Verify) -> None:
    """It is different in every run, the references' included."""
    words = ("--nproc-per-node", "2", "--fault", "sigkill@step=10:rank=1", JOB, "Averaging", "--bug", "clock")
    judged = verify(*words, repeats=False)
    assert (judged.outcome, judged.verdict.reason) == ("valid", "")


@pytest.mark.thorough  # the first batch may take a minute
def test_a_job_that_stands_still_without_a_plan_is_not_judged_by_it(verify: Verify) -> None:
    """What was lost, and where it ended, follows from what nobody had planned."""
    options = ("--nproc-per-node", "2", "--fault", "sigkill@step=9:rank=1", "--hang-timeout", "3")
    judged = verify(*options, JOB, "HangingOnce")
    assert judged.outcome == "unknown"
    assert re.search("stood still|hang|unplanned|progress", judged.verdict.reason)


def test_no_fault_damages_what_a_link_leads_to(verify: Verify, tmp_path: Path) -> None:
    """The job's first checkpoint is the user's own file: the fault is refused, and the file is whole."""
    weights = tmp_path / "pretrained.pt"
    torch.save({"net": torch.nn.Linear(4, 1).state_dict()}, weights)
    before = weights.read_bytes()
    fault = ("--fault", "torn(keep=0.5)@step=2:rank=0")
    judged = verify("--nproc-per-node", "2", *fault, JOB, "Linking", str(weights))
    assert (judged.outcome, weights.read_bytes()) == ("unknown", before)
