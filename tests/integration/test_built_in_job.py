"""Real ranks of the built-in job, really killed, at every kind of point; two whole epochs follow every resume."""

from __future__ import annotations

import pytest

from tests.integration.conftest import Resumable, Verify

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
    "an exit that looks like success": ("exit(0)@step=7:rank=1",),
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
ON_FOUR_RANKS = ("twice in one epoch", "on the last batch of an epoch", "all ranks")
"""Moments that are tried there too; the others are with two ranks alone, but for `make thorough`."""


def faults_and_job(num_ranks: int, faults: tuple[str, ...], *arguments: str) -> list[str]:
    options = [word for fault in faults for word in ("--fault", fault)]
    return ["--nproc-per-node", str(num_ranks), *options, "-m", "resumable.launch.jobs.digits", *arguments]


@pytest.mark.parametrize(
    ("moment", "num_ranks"),
    [
        *((moment, 2) for moment in sorted(MOMENTS)),
        *(
            pytest.param(moment, 4, marks=() if moment in ON_FOUR_RANKS else pytest.mark.thorough)
            for moment in sorted(MOMENTS)
        ),
    ],
)
def test_a_kill_at_any_moment_changes_no_batch(verify: Verify, moment: str, num_ranks: int) -> None:
    """Whenever ranks die, every rank goes on with the batches of the uninterrupted run."""
    faults = tuple(fault.format(last=NUM_STEPS_AN_EPOCH[num_ranks] - 1) for fault in MOMENTS[moment])
    judged = verify(*faults_and_job(num_ranks, faults))
    assert (judged.outcome, judged.verdict.reason) == ("valid", "")


@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_a_kill_changes_no_batch_in_any_variant_of_the_job(verify: Verify, variant: str) -> None:
    """Shuffling, the tail and loader workers make no difference to that."""
    faults = ("sigkill@epoch=0,batch=8:rank=1", "sigkill@epoch=1,batch=4:rank=0")
    judged = verify(*faults_and_job(2, faults, *VARIANTS[variant]))
    assert (judged.outcome, judged.verdict.reason) == ("valid", "")


@pytest.mark.parametrize(("before", "after"), SIZES)
def test_another_number_of_ranks_trains_on_the_same_stream(verify: Verify, before: int, after: int) -> None:
    """A job that is started anew with fewer or more ranks trains on every remaining sample once, in the same order."""
    restart = ("--restart", "job", "--restart-nproc-per-node", str(after))
    judged = verify(*restart, *faults_and_job(before, ("sigkill@epoch=1,batch=4:rank=1",)))
    assert (judged.outcome, judged.verdict.reason) == ("valid", "")


@pytest.mark.parametrize(
    "method",
    ["forkserver", pytest.param("subprocess", marks=pytest.mark.thorough)],  # `test_import_names.py` has plain children
)
def test_the_command_verifies_from_a_cold_start(
    resumable: Resumable, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """As a user runs it, with ranks of the fork server and with plain children as torchrun starts them."""
    monkeypatch.delenv("PYTHONHASHSEED")
    words = faults_and_job(2, ("sigkill@step=7:rank=1",), "--epochs", "3")
    finished = resumable("verify", "--start-method", method, *words)
    assert (finished.exit_code, finished.errors) == (0, ""), finished.output


def test_nodes_on_one_machine_verify_together(resumable: Resumable, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two nodes, each with an agent of its own, meet at the supervisor's store and restart together."""
    monkeypatch.delenv("PYTHONHASHSEED")
    words = faults_and_job(2, ("sigkill@step=7:rank=3",), "--epochs", "3")
    finished = resumable("verify", "--nnodes", "2", *words)
    assert (finished.exit_code, finished.errors) == (0, ""), finished.output


def test_a_fault_that_never_comes_proves_nothing(verify: Verify) -> None:
    """A step that there is not leaves the verdict UNKNOWN, with the reason."""
    judged = verify(*faults_and_job(2, ("sigkill@step=4000:rank=1",), "--epochs", "1"))
    assert (judged.outcome, judged.verdict.exit_code) == ("unknown", 3)
    assert "training ended after" in judged.verdict.reason


def test_a_rank_that_there_is_not_is_refused_before_anything_starts(resumable: Resumable) -> None:
    """A mistyped rank costs no run: exit code 2, and the ranks that there are."""
    finished = resumable("verify", *faults_and_job(2, ("sigkill@step=4:rank=7",)))
    assert finished.exit_code == 2
    assert "--fault sigkill@step=4:rank=7: there are ranks 0 to 1" in finished.errors


def test_a_checkpoint_folder_that_cannot_be_written_is_named(verify: Verify) -> None:
    """The job says which folder in one sentence, the verdict is UNKNOWN with that reason."""
    judged = verify(*faults_and_job(2, ("sigkill@step=7:rank=1",), "--checkpoints", "/proc/nowhere"))
    assert judged.outcome == "unknown"
    assert "/proc/nowhere" in judged.verdict.reason
