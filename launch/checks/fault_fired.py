"""A fault that never happened proves nothing about the restart after it."""

from __future__ import annotations

from resumable.launch.evidence.history import Process
from resumable.launch.evidence.rank_records import Batch, Save, Step
from resumable.launch.plan.fault_kinds import CHECKPOINT_DAMAGE, DEADLY, SAVE_ERRORS, STANDSTILLS, FaultKind
from resumable.launch.plan.fault_model import Part, PlannedFault, Point, When
from resumable.launch.reading.evidence import Evidence
from resumable.launch.reading.lives import Firing, Timeline
from resumable.launch.reading.outcome import CheckResult, Violation, not_applicable, passed, unknown
from resumable.launch.system.wording import counted, listed


def fault_fired(evidence: Evidence) -> CheckResult:
    """Every planned fault happened, once, to the right rank and at the right moment."""
    faults = evidence.scenario.faults
    if not faults and not evidence.references:
        return not_applicable("no fault was planned")
    if not faults:
        return unknown("no fault was planned, so nothing was interrupted and nothing is proved")
    fired = evidence.faulted.firings
    problems = [(fault, _problem(fault, evidence, fired)) for fault in faults]
    violations = [
        Violation(sentence=f"{fault}: {problem}", rank=fault.rank) for fault, problem in problems if problem is not None
    ]
    if violations:
        return unknown(violations[0].sentence, violations)
    incarnations = sorted({firing.life.incarnation for firing in fired})
    return passed(f"{counted(len(faults), 'fault')}, in incarnation {listed(incarnations)}")


def _problem(fault: PlannedFault, evidence: Evidence, fired: tuple[Firing, ...]) -> str | None:
    """What is wrong with one fault's evidence; None if it is as planned."""
    own = [firing for firing in fired if firing.fault == fault.number]
    if not own:
        return f"did not fire: {_why_not(fault, evidence)}"
    if len(own) > 1:
        return f"fired {len(own)} times"
    if fault.rank is not None and own[0].life.rank != fault.rank:
        return f"fired on rank {own[0].life.rank}"
    if not _is_in_time(fault, own[0]):
        return f"fired at another moment, when {counted(own[0].num_steps, 'step')} were done"
    return _missing_effect(fault, own[0], evidence)


def _why_not(fault: PlannedFault, evidence: Evidence) -> str:
    world_size = max(evidence.faulted.world_sizes, default=0)
    if not world_size:
        return "no rank was started"
    if fault.rank is not None and fault.rank >= world_size:
        return f"rank {fault.rank} does not exist among {counted(world_size, 'rank')}"
    if fault.rank is None:
        return f"no rank of node {fault.node} came to that moment"
    timeline = evidence.faulted.timeline(fault.rank)
    if timeline is None:
        return f"rank {fault.rank} recorded nothing"
    if not evidence.traits.has_steps and _has_ended(timeline) and _counts_steps(fault.when):
        return f"no optimizer step of rank {fault.rank} was seen, and {fault.when} counts those: use batch="
    return _why_never_due(fault, timeline)


def _why_never_due(fault: PlannedFault, timeline: Timeline) -> str:
    rank = f"rank {timeline.rank}"
    num_saves = sum(record.phase == "begin" for record in _records(timeline) if isinstance(record, Save))
    problem = _why_not_at_save(fault, rank, num_saves) if fault.when.point is Point.SAVE else None
    if problem is not None:
        return problem
    if fault.when.point is Point.RESUME and not any(life.incarnation for life in timeline.lives):
        return "there was no restart that it could follow"
    if fault.kind in CHECKPOINT_DAMAGE and not num_saves:
        return f"{rank} had written no checkpoint"
    if fault.kind is FaultKind.LOADERKILL:
        return f"{rank} had no loader worker at that moment"
    if not _has_ended(timeline):
        return f"the run ended after {counted(len(timeline.steps), 'step')} of {rank}, before its moment came"
    return f"training ended after {counted(len(timeline.steps), 'step')}"


def _why_not_at_save(fault: PlannedFault, rank: str, num_saves: int) -> str | None:
    if num_saves <= fault.when.numbers[0]:
        return f"{rank} saved {counted(num_saves, 'time')} with torch.save or torch.distributed.checkpoint"
    if fault.when.part is Part.DURING:
        return f"{rank} never came to the middle of that save: another process wrote it, or it failed before"
    if fault.kind in CHECKPOINT_DAMAGE:
        return f"no checkpoint of {rank} was there under the name by which it had written it"
    return None


def _has_ended(timeline: Timeline) -> bool:
    """Whether the rank's script ended by itself."""
    return timeline.lives[-1].trajectory.process.exit is not None


def _counts_steps(when: When) -> bool:
    """Whether a moment comes with an optimizer step; `resume+0` comes with a batch already."""
    return when.point is Point.STEP or (when.point is Point.RESUME and when.numbers[0] > 0)


def _records(timeline: Timeline) -> list[object]:
    return [record for life in timeline.lives for record in life.trajectory.process.records]


def _is_in_time(fault: PlannedFault, firing: Firing) -> bool:
    """Whether the steps that were done fit the plan; a moment counted in batches or files is left to the trigger."""
    number = fault.when.numbers[0]
    if fault.when.point is Point.STEP:
        return firing.num_steps == number + 1
    if fault.when.point is Point.RESUME:
        return firing.life.incarnation > 0 and firing.num_own_steps == number
    return True


def _was_raised_later(fault: PlannedFault, process: Process) -> bool:
    """Whether it ended the process after all: an error in a background save comes out where the script asks for it."""
    exit_ = process.exit
    return fault.kind.facts.effect == "raises" and exit_ is not None and fault.kind.facts.error_text in exit_.message


def _missing_effect(fault: PlannedFault, firing: Firing, evidence: Evidence) -> str | None:
    """What the fault should have done and did not."""
    process = firing.life.trajectory.process
    after = process.records[firing.line :]
    has_gone_on = any(isinstance(record, Batch | Step) for record in after)
    if fault.kind in DEADLY and has_gone_on and not _was_raised_later(fault, process):
        caught = ": the script caught it" if fault.kind.facts.effect == "raises" else ""
        return f"fired, and rank {process.rank} went on{caught}"
    # Which rank of a group that waits for each other is ended matters little; the others are ended with it.
    acts = {(act.fault, act.act) for act in evidence.faulted.history.acts}
    hung = {hang.incarnation for hang in evidence.faulted.history.hangs}
    if fault.kind in STANDSTILLS and process.incarnation not in hung:
        return "fired, and the hang watch noticed nothing"
    deed = fault.kind.facts.deed
    if deed is not None and (fault.number, deed) not in acts:
        return f"fired, and no node was {deed}"
    if fault.kind in SAVE_ERRORS and after and isinstance(after[0], Save) and after[0].phase == "end":
        return "fired, and the save went on"
    return None
