"""Real ranks of the built-in job, really killed, at every kind of point; two whole epochs follow every resume."""

from __future__ import annotations

import pytest

from tests.integration.conftest import Finished, Resumable

NUM_STEPS_AN_EPOCH = {2: 20, 4: 10}
MOMENTS = {
    "before the first batch": ("sigkill@batch=0:rank=1",),
    "in epoch 0": ("sigkill@epoch=0,batch=6:rank=0",),
    "in a later epoch": ("sigkill@epoch=1,batch=4:rank=1",),
    "on the last batch of an epoch": ("sigkill@epoch=0,batch={last}:rank=1",),
    "after the last step of an epoch": ("sigkill@step={last}:rank=0",),
    "on the first batch of the next epoch": ("sigkill@epoch=1,batch=0:rank=1",),
    "twice in one epoch": ("sigkill@epoch=1,batch=2:rank=1", "sigkill@epoch=1,batch=7:rank=0"),
    "right after the resume": ("sigkill@step=7:rank=1", "sigkill@resume+0:rank=1"),
    "two ranks at once": ("sigkill@step=11:rank=0", "sigkill@step=11:rank=1"),
    "all ranks": ("sigkill@step=7:rank=all",),
    "an exception": ("exception@step=7:rank=any",),
    "an exit of all ranks": ("exit(3)@epoch=1,batch=1:rank=all",),
}
VARIANTS = {
    "without shuffling": ("--no-shuffle",),
    "dropping the tail": ("--drop-last",),
    "a number of samples that is not divisible": ("--num-samples", "1003"),
    "not divisible and dropping the tail": ("--num-samples", "1003", "--drop-last"),
    "two loader workers": ("--workers", "2"),
    "two persistent loader workers": ("--workers", "2", "--persistent-workers"),
}
SIZES = [(4, 2), (2, 4), (3, 2)]


def job(*arguments: str) -> tuple[str, ...]:
    return ("-m", "launch.jobs.digits", *arguments)


def verify(resumable: Resumable, num_ranks: int, faults: tuple[str, ...], *options_and_job: str) -> Finished:
    fault_options = [word for fault in faults for word in ("--fault", fault)]
    return resumable("verify", "--nproc-per-node", str(num_ranks), *fault_options, *options_and_job)


@pytest.mark.parametrize("num_ranks", [2, 4])
@pytest.mark.parametrize("moment", sorted(MOMENTS))
def test_a_kill_at_any_moment_changes_no_batch(resumable: Resumable, moment: str, num_ranks: int) -> None:
    """Whenever ranks die, every rank goes on with the batches of the uninterrupted run."""
    faults = tuple(fault.format(last=NUM_STEPS_AN_EPOCH[num_ranks] - 1) for fault in MOMENTS[moment])
    finished = verify(resumable, num_ranks, faults, *job())
    assert (finished.exit_code, finished.explanations) == (0, ""), finished.output + finished.errors


@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_a_kill_changes_no_batch_in_any_variant_of_the_job(resumable: Resumable, variant: str) -> None:
    """Shuffling, the tail and loader workers make no difference to that."""
    faults = ("sigkill@epoch=0,batch=8:rank=1", "sigkill@epoch=1,batch=4:rank=0")
    finished = verify(resumable, 2, faults, *job(*VARIANTS[variant]))
    assert (finished.exit_code, finished.explanations) == (0, ""), finished.output + finished.errors


@pytest.mark.parametrize(("before", "after"), SIZES)
def test_another_number_of_ranks_trains_on_the_same_stream(resumable: Resumable, before: int, after: int) -> None:
    """A job that is started anew with fewer or more ranks trains on every remaining sample once, in the same order."""
    options = ("--restart", "job", "--restart-nproc-per-node", str(after))
    finished = verify(resumable, before, ("sigkill@epoch=1,batch=4:rank=1",), *options, *job())
    assert (finished.exit_code, finished.explanations) == (0, ""), finished.output + finished.errors


def test_plain_subprocesses_resume_as_ranks_of_the_fork_server_do(resumable: Resumable) -> None:
    """`--start-method subprocess` starts children as torchrun does; the verdict is the same."""
    finished = verify(resumable, 2, ("sigkill@step=7:rank=1",), "--start-method", "subprocess", *job("--epochs", "3"))
    assert (finished.exit_code, finished.explanations) == (0, ""), finished.output + finished.errors


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("sigkill@step=4000:rank=1", "training ended after"), ("sigkill@step=4:rank=7", "rank 7 does not exist")],
)
def test_a_fault_that_never_comes_proves_nothing(resumable: Resumable, fault: str, reason: str) -> None:
    """A step or rank that there is not leaves the verdict UNKNOWN, with the reason."""
    finished = verify(resumable, 2, (fault,), *job("--epochs", "1"))
    assert finished.exit_code == 3
    assert reason in finished.output
