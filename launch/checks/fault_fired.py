"""A fault that never happened proves nothing about the restart after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from resumable.launch.checks.check import Check
from resumable.launch.evidence.rank_records import FaultRefused, Save
from resumable.launch.explain.check_result import CheckResult, Violation, not_applicable, passed, unknown
from resumable.launch.explain.codes import faults as codes
from resumable.launch.explain.codes.faults import MissingEffect
from resumable.launch.explain.codes.statement import Problem, Reason
from resumable.launch.plan.fault_kinds import CHECKPOINT_DAMAGE, DEADLY, SAVE_ERRORS, STANDSTILLS, NodeDeed
from resumable.launch.plan.fault_model import Part, PlannedFault, Point, When
from resumable.launch.reading.evidence import Evidence
from resumable.launch.reading.lives import Firing, Timeline
from resumable.launch.system.wording import counted, listed

_UNDONE: Mapping[NodeDeed, MissingEffect] = {
    "lost": "no node was lost",
    "cut": "no node was cut",
    "interrupted": "no node was interrupted",
}


def _fault_fired(evidence: Evidence) -> CheckResult:
    faults = evidence.scenario.faults
    if not faults and not evidence.references:
        return not_applicable("no fault was planned")
    if not faults and evidence.is_foreign and len(evidence.faulted.history.incarnations) > 1:
        return not_applicable("no fault was planned; it was interrupted all the same")
    if not faults:
        return unknown(codes.NoFaultPlanned())
    violations = [v for v in (_violation(fault, evidence) for fault in faults) if v is not None]
    if violations and violations[0].problem is not None:
        return unknown(violations[0].problem, violations, reason=violations[0].reason)
    incarnations = sorted({firing.life.incarnation for firing in evidence.faulted.firings})
    return passed(f"{counted(len(faults), 'fault')}, in incarnation {listed(incarnations)}")


fault_fired = Check(
    name="fault_fired",
    claim="Every planned fault happened, once, to the right rank and at the right moment.",
    run=_fault_fired,
    needs_reference=False,
)


def _violation(fault: PlannedFault, evidence: Evidence) -> Violation | None:
    """What is wrong with one fault's evidence; None if it is as planned."""
    own = [firing for firing in evidence.faulted.firings if firing.fault == fault.number]
    if not own:
        return Violation(
            problem=codes.FaultDidNotFire(fault=str(fault)), reason=_why_not(fault, evidence), rank=fault.rank
        )
    problem = _problem(fault, own, evidence)
    return None if problem is None else Violation(problem=problem, rank=fault.rank)


def _problem(fault: PlannedFault, own: Sequence[Firing], evidence: Evidence) -> Problem | None:
    if len(own) > 1:
        return codes.FaultRepeated(fault=str(fault), num=len(own))
    if fault.rank is not None and own[0].life.rank != fault.rank:
        return codes.FaultOnWrongRank(fault=str(fault), rank=own[0].life.rank)
    if not _is_in_time(fault, own[0]):
        return codes.FaultAtWrongMoment(fault=str(fault), num_steps=own[0].num_steps)
    effect = _missing_effect(fault, own[0], evidence)
    return None if effect is None else codes.FaultWithoutEffect(fault=str(fault), rank=own[0].life.rank, effect=effect)


def _why_not(fault: PlannedFault, evidence: Evidence) -> Reason:
    world_size = max(evidence.faulted.world_sizes, default=0)
    if not world_size:
        return codes.NothingStarted()
    if fault.rank is None:
        return codes.NodeNotThere(node=fault.node or 0)
    if fault.rank >= world_size:
        return codes.NoSuchRank(rank=fault.rank, world_size=world_size)
    timeline = evidence.faulted.timeline(fault.rank)
    if timeline is None:
        return codes.RankRecordedNothing(rank=fault.rank)
    if not evidence.profile.has_steps and _has_ended(timeline) and _counts_steps(fault.when):
        return codes.NoStepSeen(rank=fault.rank, when=str(fault.when))
    return _why_never_due(fault, timeline)


def _why_never_due(fault: PlannedFault, timeline: Timeline) -> Reason:
    refused = {r.path: r.why for r in _records(timeline) if isinstance(r, FaultRefused) and r.fault == fault.number}
    if refused:
        return codes.FilesRefused(refused=refused)
    num_saves = sum(record.phase == "begin" for record in _records(timeline) if isinstance(record, Save))
    reason = _why_not_at_save(fault, timeline.rank, num_saves) if fault.when.point is Point.SAVE else None
    if reason is not None:
        return reason
    if fault.when.point is Point.RESUME and not any(life.incarnation for life in timeline.lives):
        return codes.NoRestart()
    if fault.kind in CHECKPOINT_DAMAGE and (not num_saves or _has_passed(fault.when, timeline)):
        return codes.NoCheckpoint(rank=timeline.rank)
    if fault.kind.facts.needs == "loader worker":
        return codes.NoLoaderWorker(rank=timeline.rank)
    return _how_it_ended_before(fault, timeline)


def _how_it_ended_before(fault: PlannedFault, timeline: Timeline) -> Reason:
    num_steps = len(timeline.steps)
    if not _has_ended(timeline):
        return codes.RunEndedBefore(rank=timeline.rank, num_steps=num_steps)
    num_epochs = 1 + max((batch.epoch for step in timeline.steps for batch in step.batches), default=-1)
    if fault.when.point is Point.EPOCH_BATCH and fault.when.numbers[0] >= num_epochs:
        return codes.NoSuchEpoch(num_epochs=num_epochs, num_steps=num_steps)
    return codes.TrainingEndedBefore(num_steps=num_steps)


def _why_not_at_save(fault: PlannedFault, rank: int, num_saves: int) -> Reason | None:
    if num_saves <= fault.when.numbers[0]:
        return codes.TooFewSaves(rank=rank, num=num_saves)
    if fault.when.part is Part.DURING:
        return codes.SaveNotHalfDone(rank=rank)
    return codes.CheckpointGone(rank=rank) if fault.kind in CHECKPOINT_DAMAGE else None


def _has_passed(when: When, timeline: Timeline) -> bool:
    """Whether a moment that is counted in steps has come."""
    return when.point is Point.STEP and when.numbers[0] < len(timeline.steps)


def _has_ended(timeline: Timeline) -> bool:
    """Whether the rank's script ended by itself."""
    return timeline.lives[-1].process.exit is not None


def _counts_steps(when: When) -> bool:
    """Whether a moment comes with an optimizer step; `resume+0` comes with a batch already."""
    return when.point is Point.STEP or (when.point is Point.RESUME and when.numbers[0] > 0)


def _records(timeline: Timeline) -> list[object]:
    return [record for life in timeline.lives for record in life.process.events]


def _is_in_time(fault: PlannedFault, firing: Firing) -> bool:
    """Whether the steps that were done fit the plan; a moment counted in batches or files is left to the trigger."""
    number = fault.when.numbers[0]
    if fault.when.point is Point.STEP:
        return firing.num_steps == number + 1
    if fault.when.point is Point.RESUME:
        return firing.life.incarnation > 0 and firing.num_own_steps == number
    return True


def _ended_its_process(fault: PlannedFault, firing: Firing) -> bool:
    """Whether it did so after all: an error in a background save comes out where the script asks for it."""
    exit_ = firing.life.process.exit
    return exit_ is not None and exit_.error is not None and fault.number in exit_.error.faults


def _missing_effect(fault: PlannedFault, firing: Firing, evidence: Evidence) -> MissingEffect | None:
    """What the fault should have done and did not."""
    process = firing.life.process
    if fault.kind in DEADLY and firing.was_survived and not _ended_its_process(fault, firing):
        return "the script caught it" if fault.kind.facts.effect == "raises" else "the rank went on"
    # Which rank of a group that waits for each other is ended matters little; the others are ended with it.
    acts = {(act.fault, act.act) for act in evidence.faulted.history.acts}
    hung = {hang.incarnation for hang in evidence.faulted.history.hangs}
    if fault.kind in STANDSTILLS and process.incarnation not in hung:
        return "the hang watch noticed nothing"
    deed = fault.kind.facts.deed
    if deed is not None and (fault.number, deed) not in acts:
        return _UNDONE[deed]
    after = process.records[firing.line : firing.line + 1]
    if fault.kind in SAVE_ERRORS and after and isinstance(after[0], Save) and after[0].phase == "end":
        return "the save went on"
    return None
