"""The lives of every rank, put one after another: cut back to each resume point, then carried on.

The first process of a rank begins at step 0. Each later one begins at its resume point and replaces what was done
beyond it. What then remains is what the job is made of in the end, its effective trajectory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from resumable.launch.evidence.history import History
from resumable.launch.evidence.loop_profile import LoopProfile
from resumable.launch.evidence.rank_records import Save
from resumable.launch.reading.aftermath import after, in_place
from resumable.launch.reading.epoch_shift import epoch_shift
from resumable.launch.reading.handovers import saves_read, sources
from resumable.launch.reading.lives import Life, Run, Timeline
from resumable.launch.reading.parameter_places import ParameterPlaces
from resumable.launch.reading.reindexing import with_reference_indices
from resumable.launch.reading.resume import Clues, find_resume_point
from resumable.launch.reading.saves import Saved, saved_by
from resumable.launch.reading.steps import NOTHING, Steps
from resumable.launch.reading.trained import TrainedBatch, TrainedStep
from resumable.launch.reading.trajectory import Trajectory, trace


def assemble(history: History, profile: LoopProfile, reference: Mapping[int, Steps] | None = None) -> Run:
    """A history with every process placed at its resume point.

    Args:
        history: the evidence.
        profile: properties of the job, from its reference if there is one.
        reference: what each rank trains on without a stop; None where nobody knows.
    """
    builder = _Builder(reference or {}, profile, history.folder)
    for incarnation in history.incarnations:
        builder.add([trace(process, profile) for process in history.group(incarnation)])
    return builder.run(history)


class _Builder:
    """Folds incarnations into timelines."""

    def __init__(self, reference: Mapping[int, Steps], profile: LoopProfile, scenario: str) -> None:
        self.reference = reference
        self.profile = profile
        self.scenario = scenario
        self.done: dict[int, Steps] = {}
        self.lives: dict[tuple[int, int], Life] = {}
        self.latest: dict[int, Life] = {}
        self.saved: list[Saved] = []
        self.places = ParameterPlaces(self.reference)

    def add(self, group: Sequence[Trajectory]) -> None:
        """Place the processes of one incarnation."""
        group = self._since_they_loaded(group)
        read = saves_read(group, [one for one in self.saved if one.step == one.earliest_step])
        placed = [self._place(trajectory, read) for trajectory in group]
        for life in placed:
            self.lives[life.incarnation, life.rank] = life
            if life.has_cut:
                self._carry_on(life)
            self.latest[life.rank] = life
        if any(life.has_cut for life in placed):
            self._leave_old_size(len(group))
        self.places.note_done(self.done)
        written = (self._in_common(one) for life in placed for one in self._saved_by(life))
        self.saved = [*after([*self.saved, *written], group)]

    def _since_they_loaded(self, group: Sequence[Trajectory]) -> Sequence[Trajectory]:
        """Processes that began as the job did, and loaded what it had saved only later: what they did before is thrown away.

        A script may look for a learning rate at each start, or warm up, and load its checkpoint then. Who has saved before
        has begun from scratch, and goes back to what it saved itself.
        """
        first = self.lives.get((0, group[0].process.rank)) if group else None
        if first is None or not first.steps or _first_parameters(group[0]) != first.steps[0].before:
            return group
        own = {one.process.rank: one for one in group}
        saves = [one.num_steps_before(r.sequence) for one in group for r in one.process.events if isinstance(r, Save)]
        end = min([*saves, *(len(one.steps) for one in group)])
        loads = sources(group, (one for one in self.saved if one.is_checkpoint))
        nums = (own[rank].num_steps_before(sequence) for rank, sequence in loads)
        num = max((num for num in nums if num < end), default=0)
        return [one.since(one.steps[num - 1].line) for one in group] if num else group

    def _saved_by(self, life: Life) -> Sequence[Saved]:
        return saved_by(life.trajectory, life.first_step, num_carried=life.num_carried, scenario=self.scenario)

    def run(self, history: History) -> Run:
        """Everything that was added."""
        lives = [_with_kept(life, self.lives.values()) for life in self.lives.values()]
        placed = [(life.trajectory, life.first_step) for life in lives]
        ranks = sorted({life.rank for life in lives})
        own = {rank: tuple(life for life in lives if life.rank == rank) for rank in ranks}
        timelines = tuple(Timeline(rank=rank, lives=own[rank], steps=_effective(own[rank])) for rank in ranks)
        return Run(
            history=history,
            timelines=timelines,
            saved=tuple(in_place(self.saved, placed)),
            lockstep=self.places.lockstep,
        )

    def _place(self, trajectory: Trajectory, read: Sequence[Saved]) -> Life:
        """The process where it went on; `read`: what its group read, as far as content tells."""
        rank, incarnation = trajectory.process.rank, trajectory.process.incarnation
        before = self.done.get(rank, NOTHING)
        loaded = self._loaded(trajectory, read)
        resume = None
        if trajectory.steps and incarnation > 0:
            resume = find_resume_point(trajectory.steps, self._clues(trajectory, before, loaded))
        first_step = resume.step if resume else (len(before) if incarnation > 0 else 0)
        has_nothing_left = not trajectory.steps and bool(read) and trajectory.process.has_ended_well
        if has_nothing_left:
            first_step = min(first_step, self.places.lockstep.own(rank, read[-1].step))
        fitting = [one for one in loaded if self.places.lockstep.own(rank, one.step) == first_step]
        num_open = fitting[-1].num_accumulated if fitting else 0
        open_step = self._open_step(rank, first_step, num_open)
        epoch = self._epoch_shift(trajectory, first_step, num_open=len(open_step.batches))
        steps = with_reference_indices(trajectory, first_step, self.reference, self.profile)
        carried = open_step if steps and steps[0].carries else TrainedStep()
        return Life(
            trajectory=trajectory,
            first_step=first_step,
            common_step=self.places.common_step(rank, first_step, lambda: _first_parameters(trajectory)),
            resume=resume,
            before=before,
            steps=_with_carried(steps.from_epoch(epoch), carried),
            has_cut=bool(steps) or has_nothing_left,
            num_open=num_open,
            num_carried=len(carried.batches),
            unfinished=_shifted(trajectory.unfinished, epoch),
            waiting=_shifted(trajectory.waiting, epoch),
        )

    def _loaded(self, trajectory: Trajectory, read: Sequence[Saved]) -> Sequence[Saved]:
        """What a process may have gone on from: by its paths, and then by content, which says it better."""
        there = {one.path: one for one in self.saved if one.is_checkpoint}
        return [*(there[path] for path in trajectory.loaded if path in there), *read]

    def _open_step(self, rank: int, first_step: int, num_open: int) -> TrainedStep:
        """What the rank had done of a step by then."""
        before, latest = self.done.get(rank, NOTHING), self.latest.get(rank)
        step = TrainedStep()
        if first_step < len(before):
            step = before[first_step]
        elif latest is not None:
            step = TrainedStep(batches=latest.unfinished, losses=latest.trajectory.unfinished_losses)
        batches = step.batches[:num_open]
        num_passes = len({batch.backward_line for batch in batches})
        return TrainedStep(batches=batches, losses=step.losses[:num_passes])

    def _clues(self, trajectory: Trajectory, before: Steps, loaded: Sequence[Saved]) -> Clues:
        rank, parameters = trajectory.process.rank, _first_parameters(trajectory)
        steps = [one.step for one in loaded if one.step == one.earliest_step]
        return Clues(
            same_parameters=sorted({self.places.lockstep.own(rank, common) for common in self.places.of(parameters)}),
            checkpoint=self.places.lockstep.own(rank, steps[-1]) if steps else None,
            expected=self.reference.get(rank, before),
            num_done=len(before) or max(map(len, self.done.values()), default=0),
        )

    def _in_common(self, saved: Saved) -> Saved:
        """What a rank saved, counted in common."""
        step = self.places.common_step(saved.rank, saved.step, lambda: saved.parameters)
        is_early = saved.earliest_step != saved.step
        earliest = self.places.lockstep.common(saved.rank, saved.earliest_step).start if is_early else step
        return msgspec.structs.replace(saved, step=step, earliest_step=earliest)

    def _epoch_shift(self, trajectory: Trajectory, first_step: int, *, num_open: int) -> int:
        rank = trajectory.process.rank
        return epoch_shift(
            trajectory,
            first_step,
            num_open=num_open,
            known=(self.reference.get(rank, NOTHING), self.done.get(rank, NOTHING), *self.done.values()),
            done=self.done.get(rank) or max(self.done.values(), key=len, default=NOTHING),
            latest=[life.trajectory for life in self.latest.values()],
        )

    def _carry_on(self, life: Life) -> None:
        """Cut back what the rank had done to the resume point, and add what it did then.

        Another rank may be one step ahead and have saved it: the gradients of this rank were in that step, though it
        was killed before it could note the step. Its unfinished batches were trained on then.
        """
        previous = self.latest.get(life.rank)
        unfinished = (*previous.unfinished, *previous.waiting) if previous else ()
        if previous and unfinished and life.first_step > len(life.before):
            ahead = TrainedStep(batches=unfinished)
            longer = msgspec.structs.replace(
                previous, steps=previous.steps + Steps.of([ahead]), unfinished=(), waiting=()
            )
            self.lives[previous.incarnation, previous.rank] = longer
            life = msgspec.structs.replace(life, before=life.before + Steps.of([ahead]))
            self.lives[life.incarnation, life.rank] = life
        self.places.add(life.rank, life.first_step, life.steps)
        self.done[life.rank] = _joined(life.before, life.first_step, life.steps)

    def _leave_old_size(self, world_size: int) -> None:
        """After training on a different number of ranks, steps are no longer the reference's, nor a vanished rank's."""
        if self.reference and world_size != len(self.reference):
            self.reference = {}
            self.places = ParameterPlaces({})
            for life in self.lives.values():
                self.places.add(life.rank, life.first_step, life.steps)
        self.done = {rank: steps for rank, steps in self.done.items() if rank < world_size}
        self.latest = {rank: life for rank, life in self.latest.items() if rank < world_size}


def _first_parameters(trajectory: Trajectory) -> str | None:
    """Digest of the parameters that a process began with."""
    return trajectory.steps[0].before if trajectory.steps else None


def _with_carried(steps: Steps, carried: TrainedStep) -> Steps:
    """The first step is made of the gradients, too, that came with the checkpoint."""
    if not carried.batches:
        return steps
    batches, losses = (*carried.batches, *steps[0].batches), (*carried.losses, *steps[0].losses)
    return Steps.of([msgspec.structs.replace(steps[0], batches=batches, losses=losses)]) + steps[1:]


def _joined(done: Steps, first_step: int, steps: Steps) -> Steps:
    """`done` up to a step and then `steps`; what nothing shows in between are steps without batches."""
    return done[:first_step] + Steps.of([TrainedStep()] * (first_step - len(done))) + steps


def _effective(lives: Sequence[Life]) -> Steps:
    done = NOTHING
    for life in lives:
        if life.has_cut:
            done = _joined(done, life.first_step, life.steps[: life.num_kept])
    return done


def _shifted(batches: Iterable[TrainedBatch], epoch: int) -> tuple[TrainedBatch, ...]:
    """The same batches with their epochs counted from `epoch` on."""
    return tuple([msgspec.structs.replace(batch, epoch=batch.epoch + epoch) for batch in batches])


def _with_kept(life: Life, lives: Iterable[Life]) -> Life:
    """The life with `num_kept`: each later group that trained cuts off what lies beyond its resume point.

    A rank that is gone after a restart with fewer ranks is cut off where the others are.
    """
    groups: dict[int, dict[int, int]] = {}
    for other in lives:
        if other.incarnation > life.incarnation and other.has_cut:
            groups.setdefault(other.incarnation, {})[other.rank] = other.first_step
    ends = (group.get(life.rank, min(group.values())) for group in groups.values())
    end = min([life.end_step, *ends])
    return msgspec.structs.replace(life, num_kept=max(0, end - life.first_step))
