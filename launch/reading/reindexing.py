"""Names samples as the reference does where a job goes on with a part of its data set, in which their indices are others.

`TensorDataset(x[done:])` begins to count at 0 again. What shows that its batches are the right ones is what training made
of them: a rank's losses, and the parameters after the step, to the last bit.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from resumable.launch.evidence.loop_profile import LoopProfile
from resumable.launch.evidence.rank_records import Loader
from resumable.launch.reading.steps import NOTHING, Steps
from resumable.launch.reading.trained import TrainedBatch, TrainedStep
from resumable.launch.reading.trajectory import Trajectory


def with_reference_indices(
    trajectory: Trajectory, first_step: int, reference: Mapping[int, Steps], profile: LoopProfile
) -> Steps:
    """The steps of a process; those on a part of the data set, if proved to be the reference's, are on its samples.

    Args:
        trajectory: Of the process.
        first_step: Steps that its first step builds on.
        reference: What each rank trains on without a stop.
        profile: Of the job: which lengths its data sets have.
    """
    parts = {number for number, loader in trajectory.loaders.items() if is_part(loader, profile)}
    expected = reference.get(trajectory.process.rank, NOTHING)[first_step:]
    if not parts or not expected:
        return trajectory.steps
    others = [steps for rank, steps in reference.items() if rank != trajectory.process.rank]
    steps = list(trajectory.steps)
    for number, (found, wanted) in enumerate(zip(trajectory.steps, expected, strict=False)):
        at_the_time = [own[first_step + number] for own in others if first_step + number < len(own)]
        if _is_proved(found, wanted, at_the_time):
            steps[number] = _with_indices_of(found, wanted, parts)
    return Steps.of(steps)


def is_part(loader: Loader, profile: LoopProfile) -> bool:
    """Whether it reads a data set of another length than any of the reference's."""
    return loader.num_samples is not None and loader.num_samples not in profile.num_samples


def _is_proved(found: TrainedStep, wanted: TrainedStep, others: list[TrainedStep]) -> bool:
    """Whether training made the same of both, and of nothing that another rank trained on."""
    if found.after is None or _sizes(found) != _sizes(wanted):
        return False
    is_telling = all(wanted.losses != other.losses for other in others)
    return is_telling and (found.losses, found.after) == (wanted.losses, wanted.after)


def _sizes(step: TrainedStep) -> list[int]:
    return [len(batch.indices) for batch in step.batches]


def _with_indices_of(found: TrainedStep, wanted: TrainedStep, parts: set[int]) -> TrainedStep:
    pairs = zip(found.batches, wanted.batches, strict=True)
    return msgspec.structs.replace(found, batches=tuple([_named(own, right, parts) for own, right in pairs]))


def _named(found: TrainedBatch, wanted: TrainedBatch, parts: set[int]) -> TrainedBatch:
    return msgspec.structs.replace(found, key=wanted.key) if found.loader in parts else found
