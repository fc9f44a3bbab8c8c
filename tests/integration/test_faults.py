"""Every kind of fault and every moment, on real ranks of the built-in job: each fires, and a good job passes."""

from __future__ import annotations

import pytest

from tests.integration.conftest import Verify

# With 2 ranks an epoch has 20 steps and rank 0 saves every 5: save#1 is that of step 10, in the middle of epoch 0.
KINDS = {
    "sigkill": ("sigkill@step=7:rank=1",),
    "sigterm": ("sigterm(grace=20)@step=7:rank=1",),
    "sigterm without grace": ("sigterm(grace=0)@step=7:rank=0",),
    "sigint": ("sigint@step=7:rank=1",),
    "exit": ("exit(3)@step=7:rank=1",),
    "exception": ("exception@step=7:rank=0",),
    "abort": ("abort@step=7:rank=1",),
    "hang": ("hang@step=7:rank=1",),
    "hang of all ranks": ("hang@step=7:rank=all",),
    "sigstop": ("sigstop@step=7:rank=0",),
    "preempt": ("preempt(grace=20)@step=7:node=0",),
    "torn": ("torn(keep=0.5)@save#1:rank=0",),
    "torn to nothing, later": ("torn(keep=0)@step=12:rank=0",),
    "corrupt": ("corrupt@save#1:rank=0",),
    "diskfull": ("diskfull@save#1:rank=0",),
    "ioerror": ("ioerror@save#1:rank=0",),
}
MOMENTS = {
    "before a save": ("sigkill@save#1+before:rank=0",),
    "during a save": ("sigkill@save#1+during:rank=0",),
    "after a save": ("sigkill@save#1+after:rank=0",),
    "after the first save": ("sigkill@save#0:rank=0",),
    "when the checkpoint was read": ("sigkill@step=7:rank=1", "sigkill@load#0:rank=0"),
    "a hang in mid-save": ("hang@save#1+during:rank=0",),
    "a notice in mid-save": ("sigterm(grace=20)@save#1+during:rank=0",),
    "an exception when the checkpoint was read": ("sigkill@step=7:rank=1", "exception@load#1:rank=0"),
}
LOADER_FAULTS = ("loaderkill@step=7:rank=1", "sigkill@epoch=0,batch=12:rank=0")


def faults_and_job(faults: tuple[str, ...], *arguments: str) -> list[str]:
    options = [word for fault in faults for word in ("--fault", fault)]
    job = ("-m", "resumable.launch.jobs.digits", "--epochs", "2", *arguments)
    return ["--nproc-per-node", "2", "--hang-timeout", "2", *options, *job]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_good_job_survives_every_kind_of_fault(verify: Verify, kind: str) -> None:
    """The fault fires, the job goes on, and every batch after it is the uninterrupted run's."""
    judged = verify(*faults_and_job(KINDS[kind]))
    assert (judged.outcome, judged.verdict.reason) == ("valid", "")


@pytest.mark.parametrize("moment", sorted(MOMENTS))
def test_a_good_job_survives_a_fault_at_any_moment_of_a_checkpoint(verify: Verify, moment: str) -> None:
    """Before, in the middle of and after a save, and once a checkpoint was read."""
    judged = verify(*faults_and_job(MOMENTS[moment]))
    assert (judged.outcome, judged.verdict.reason) == ("valid", "")


@pytest.mark.parametrize("variant", [("--workers", "2"), ("--workers", "2", "--persistent-workers")])
def test_a_good_job_survives_the_death_of_a_loader_worker(verify: Verify, variant: tuple[str, ...]) -> None:
    """torch raises in the rank whose worker is gone; the job is started again and goes on."""
    judged = verify(*faults_and_job(LOADER_FAULTS, *variant))
    assert (judged.outcome, judged.verdict.reason) == ("valid", "")
