"""All watches of a process, put in place together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from resumable.launch.worker.faults.trigger import Trigger
from resumable.launch.worker.patching import Patches
from resumable.launch.worker.position import Position
from resumable.launch.worker.recorder import Recorder
from resumable.launch.worker.watch.buffers import BufferWatch
from resumable.launch.worker.watch.checkpoints import CheckpointWatch
from resumable.launch.worker.watch.distributed_checkpoints import DistributedCheckpointWatch
from resumable.launch.worker.watch.framework_iterators import FrameworkIteratorWatch
from resumable.launch.worker.watch.inputs import InputWatch
from resumable.launch.worker.watch.loaders import LoaderWatch
from resumable.launch.worker.watch.saving import Saving
from resumable.launch.worker.watch.schedulers import SchedulerWatch
from resumable.launch.worker.watch.training import TrainingWatch

MakeTrigger = Callable[[Callable[[], Sequence[int]]], Trigger]
"""Gets what gives the pids of the loader workers."""


def watch(
    recorder: Recorder,
    position: Position,
    make_trigger: MakeTrigger,
    patches: Patches,
    *,
    has_buffers: bool,
    digests_content: bool,
) -> TrainingWatch:
    """Record from now on what the script does, and let the planned faults happen.

    Args:
        recorder: Gets the lines.
        position: Follows them.
        make_trigger: Makes what lets faults happen.
        patches: Take it all back.
        has_buffers: Whether this process is asked for its buffers: rank 0 saves for all, and under DDP the others have its.
        digests_content: Whether the content of every batch is digested.

    Returns:
        What knows the parameters.
    """
    buffers, schedulers = BufferWatch(), SchedulerWatch()
    training = TrainingWatch(recorder, position, schedulers, buffers if has_buffers else None)
    loaders = LoaderWatch(recorder, digests_content=digests_content)
    trigger = make_trigger(loaders.worker_pids)
    inputs = InputWatch(recorder)
    saving = Saving(recorder, trigger)
    checkpoints = CheckpointWatch(recorder, trigger, saving)
    distributed_checkpoints = DistributedCheckpointWatch(trigger, saving)
    for observe in (inputs.observe, position.follow, training.observe, trigger.observe):
        recorder.observe(observe)
    framework_iterators = FrameworkIteratorWatch(loaders)
    for one in (
        buffers,
        schedulers,
        loaders,
        framework_iterators,
        inputs,
        checkpoints,
        distributed_checkpoints,
        training,
    ):
        one.install(patches)
    return training
