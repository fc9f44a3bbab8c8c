"""All watches of a process, put in place together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from resumable.launch.evidence.rank_records import Backward, Batch, EpochEnd, Load, Loader, State, Step
from resumable.launch.system.environment import Keep
from resumable.launch.worker.faults.trigger import Trigger
from resumable.launch.worker.patching import Patches
from resumable.launch.worker.position import FOLLOWED, Position
from resumable.launch.worker.recorder import Recorder
from resumable.launch.worker.watch.checkpoints import CheckpointWatch
from resumable.launch.worker.watch.distributed_checkpoints import DistributedCheckpointWatch
from resumable.launch.worker.watch.dumps import DumpWatch
from resumable.launch.worker.watch.forwards import ForwardWatch
from resumable.launch.worker.watch.framework_iterators import FrameworkIteratorWatch
from resumable.launch.worker.watch.loaders import LoaderWatch
from resumable.launch.worker.watch.removals import RemovalWatch
from resumable.launch.worker.watch.saving import Saving
from resumable.launch.worker.watch.state import StateWatch
from resumable.launch.worker.watch.training import TrainingWatch

MakeTrigger = Callable[[Callable[[], Sequence[int]]], Trigger]
"""Gets what gives the pids of the loader workers."""


def watch(
    recorder: Recorder,
    position: Position,
    make_trigger: MakeTrigger,
    patches: Patches,
    *,
    saved_keys: Callable[[], set[frozenset[str]]],
    digests_content: bool,
    keep: Keep = "samples",
) -> StateWatch:
    """Record from now on what the script does, and let the planned faults happen.

    Args:
        recorder: Gets the lines.
        position: Follows them.
        make_trigger: Makes what lets faults happen.
        patches: Take it all back.
        saved_keys: Gives the keys under which earlier processes of the job have saved: what is read under such keys is
            looked at.
        digests_content: Whether the content of every batch is digested.
        keep: How much is kept.

    Returns:
        What knows the training state.
    """
    state = StateWatch(recorder)
    forwards = ForwardWatch(recorder)
    training = TrainingWatch(recorder, position, forwards, state, keeps_states=keep != "quick")
    loaders = LoaderWatch(recorder, digests_content=digests_content, keep=keep, delivered=forwards.deliver)
    trigger = make_trigger(loaders.worker_pids)
    saving = Saving(recorder, trigger, state.note_save, saved_keys)
    checkpoints = CheckpointWatch(recorder, trigger, saving)
    distributed_checkpoints = DistributedCheckpointWatch(trigger, saving)
    recorder.observe(forwards.observe, Loader, Batch, EpochEnd, Step)
    recorder.observe(position.follow, *FOLLOWED)
    recorder.observe(state.observe, Load, Batch, Backward, Step)
    recorder.observe(training.observe, Load, State, Batch)
    recorder.observe(trigger.observe)
    framework_iterators = FrameworkIteratorWatch(loaders)
    for one in (
        state,
        loaders,
        framework_iterators,
        forwards,
        checkpoints,
        distributed_checkpoints,
        RemovalWatch(recorder),
        DumpWatch(recorder, saving),
        training,
    ):
        one.install(patches)
    return state
