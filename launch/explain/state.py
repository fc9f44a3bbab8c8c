"""Says why a process has another state than the uninterrupted run had at the same step."""

from __future__ import annotations

from resumable.launch.explain.restored import goes_on_with_new_optimizer
from resumable.launch.explain.unusable_checkpoints import why_wrong
from resumable.launch.reading.evidence import Evidence
from resumable.launch.reading.lives import Life
from resumable.launch.reading.trajectory import TrainedStep


def explain_drift(evidence: Evidence, life: Life, number: int) -> str:
    """Why the state after step `number` of a process, from 0, is another one; "" if nothing tells."""
    step = life.first_step + number
    from_batches = _other_batches(evidence, life, step)
    if from_batches or life.resume is None:
        return from_batches
    return why_wrong(evidence.faulted, life) or _not_restored(evidence, life, number)


def _other_batches(evidence: Evidence, life: Life, step: int) -> str:
    own = _first_other_batches(life, evidence)
    if own is not None and own <= step:
        return "it follows from the batches, which differ already"
    stray = _first_stray(evidence, life.incarnation, step)
    if stray is not None:
        return f"it follows from the batches of rank {stray}, which differ already: the ranks share their gradients"
    return ""


def _not_restored(evidence: Evidence, life: Life, number: int) -> str:
    step, found = life.first_step + number, life.steps[number]
    wanted = evidence.expected[life.rank][step]
    if _only_buffers_differ(wanted, found):
        return "parameters are right but buffers, such as running statistics, are not: is all of `state_dict()` saved?"
    if _only_losses_differ(wanted, found):
        return (
            f"batches and parameters are right but the loss differs from step {step} on: "
            "is what scales it, such as a GradScaler, saved and loaded?"
        )
    if number == 0 and (life.resume is None or life.resume.how != "parameters"):
        return "batches are right but the parameters that it started from are not: is the model's state loaded?"
    if goes_on_with_new_optimizer(evidence, life):
        return "batches are right but the optimizer began without any state: is its `state_dict()` saved and loaded?"
    return _off_schedule(wanted, found) or (
        f"batches are right but {'the parameters differ' if wanted.after != found.after else 'the loss differs'} "
        f"from step {step} on: is the optimizer's, the scheduler's and the random state saved and loaded?"
    )


def _off_schedule(wanted: TrainedStep, found: TrainedStep) -> str:
    if wanted.learning_rate == found.learning_rate:
        return ""  # whatever was counted: a new scheduler may begin where the old one stood
    if wanted.scheduler_steps != found.scheduler_steps:
        return (
            f"batches are right but the learning-rate scheduler has counted {found.scheduler_steps} where it should have "
            f"counted {wanted.scheduler_steps}: is its `state_dict()` saved and loaded?"
        )
    return (
        f"batches are right but the learning rate is {found.learning_rate} where it should be "
        f"{wanted.learning_rate}: is what it follows from saved and loaded?"
    )


def _first_stray(evidence: Evidence, incarnation: int, last_step: int) -> int | None:
    """The rank of a group that first trained on other batches than it should have, in no later step than this one."""
    strays = [
        (step, life.rank)
        for life in evidence.faulted.lives
        if life.incarnation == incarnation
        for step in [_first_other_batches(life, evidence)]
        if step is not None and step <= last_step
    ]
    return min(strays)[1] if strays else None


def _first_other_batches(life: Life, evidence: Evidence) -> int | None:
    """The first step in which a process trained on other batches than it should have."""
    expected = evidence.expected.get(life.rank, ())[life.first_step :]
    pairs = enumerate(zip(expected, life.steps, strict=False), start=life.first_step)
    return next((step for step, (wanted, got) in pairs if wanted.keys != got.keys), None)


def _only_buffers_differ(wanted: TrainedStep, found: TrainedStep) -> bool:
    return wanted.after == found.after and wanted.losses == found.losses and wanted.buffers != found.buffers


def _only_losses_differ(wanted: TrainedStep, found: TrainedStep) -> bool:
    """Whether the parameters are known to be right all the same, so that their gradients were too."""
    is_known = wanted.after is not None
    return is_known and (wanted.after, wanted.buffers) == (found.after, found.buffers) and wanted.losses != found.losses
