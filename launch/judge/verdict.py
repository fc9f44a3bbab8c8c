"""What all checks prove together, and everything that a report shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import msgspec

from resumable.launch.checks import CHECKS
from resumable.launch.checks.check import Check, Part
from resumable.launch.evidence.history_reader import read_history
from resumable.launch.evidence.run_dir import RunDir, ScenarioDir
from resumable.launch.explain.check_result import AnyProblem, AnyReason, CheckResult, advice_on, unknown
from resumable.launch.explain.codes.ends import DiedUnplanned
from resumable.launch.explain.codes.references import ReferenceFailed, ReferenceNodeFailed
from resumable.launch.explain.codes.statement import Problem
from resumable.launch.explain.codes.verdicts import CheckFailed, EvidenceDamaged, NothingCompared
from resumable.launch.explain.outcome import Outcome, exit_code, worst
from resumable.launch.judge.objections import upheld
from resumable.launch.plan.plan import Plan
from resumable.launch.reading.evidence import Evidence, gather
from resumable.launch.reading.failures import FaultEvent, fired_faults
from resumable.launch.reading.lives import Run
from resumable.launch.system.safe_io import replace_whole
from resumable.launch.system.text_safety import json_document

VERDICT_VERSION = 2


class Incarnation(msgspec.Struct, frozen=True, kw_only=True):
    """One life of the worker group, in figures."""

    number: int
    num_nodes: int
    world_size: int
    first_step: int | None
    """Step at which its ranks began to train; None if they never did."""
    num_steps: int
    """Most steps that one of its ranks did."""


class CheckReport(msgspec.Struct, frozen=True, kw_only=True):
    """A check and its answer."""

    name: str
    claim: str
    """What holds if it is valid."""
    result: CheckResult


class Cause(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What decided: of which check, which problem, and why it came about."""

    check: str = ""
    """"" where no check decided."""
    problem: AnyProblem
    reason: AnyReason | None = None

    @property
    def advice(self) -> str:
        """What to do about it, for people; "" where nobody knows."""
        return advice_on(self.problem, self.reason)

    @property
    def kind(self) -> tuple[str, ...]:
        """The same for all causes that differ only in where and how often."""
        return (self.check, *self.problem.kind, *(self.reason.kind if self.reason is not None else ()))

    def __str__(self) -> str:
        parts = (self.check, str(self.problem), str(self.reason or ""))
        return ": ".join(part for part in parts if part)


Confirmation = Literal["none", "both", "only warm", "only plain", "only once"]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to one command."""

    version: int = VERDICT_VERSION
    outcome: Outcome
    reason: str
    """Why it is not valid, for people; "" if it is."""
    cause: Cause | None = None
    """The same for programs; None if it is valid, and in results of version 1."""
    confirmation: Confirmation = "none"
    """Of a point of a sweep that failed: whether it was run again on plain processes, and which run failed; only once: in a
    chain, and never when it was tried again."""
    chain: str = ""
    """Of a point of a sweep that was hit in a run with others: the folder of that run; "" if it had one of its own."""
    until: int | None = None
    """Of such a point: steps done when the next one came, up to which it is judged; None: to the end of the job."""
    scenario: str
    incarnations: tuple[Incarnation, ...]
    fired_faults: tuple[FaultEvent, ...]
    checks: tuple[CheckReport, ...]

    def __bool__(self) -> bool:
        """Whether it is VALID: `assert verdict` holds for nothing else."""
        return self.outcome is Outcome.VALID

    @property
    def advice(self) -> str:
        """What to do about what is wrong, for people; "" where nothing is, or nobody knows."""
        return "" if self.cause is None else self.cause.advice

    @property
    def notes(self) -> tuple[str, ...]:
        """What a VALID does not show, and what the job does without any restart; none of what is not VALID."""
        return tuple(note for report in self.checks if self for note in report.result.notes)

    @property
    def exit_code(self) -> int:
        """0 VALID, 1 INVALID, 3 UNKNOWN."""
        return exit_code(self.outcome)


def judge(plan: Plan, run_dir: RunDir) -> Verdict:
    """Read the evidence of a run and say what it proves.

    Without references (`resumable run`) nothing is proved, so the outcome is INVALID or UNKNOWN.
    """
    return judge_evidence(read_evidence(plan, run_dir))


def read_evidence(plan: Plan, run_dir: RunDir) -> Evidence:
    """The evidence of everything but a sweep: of its last scenario, beside its references."""
    judged = plan.scenarios[-1]
    references = [s for s in plan.references if s.name != judged.name]
    histories = [read_history(run_dir.scenario(scenario.name)) for scenario in references]
    faulted = read_history(run_dir.scenario(judged.name))
    return gather(plan, judged, histories, faulted)


def judge_recorded(plan: Plan, run_dirs: Sequence[RunDir], references: Sequence[ScenarioDir]) -> Verdict:
    """Say what the evidence of a job proves that somebody else has started.

    Args:
        plan: Of the job, with one scenario.
        run_dirs: All run directories of the job: of its attempts, or of its hosts.
        references: Undisturbed runs; none if there is none.
    """
    [scenario] = plan.scenarios
    first, *others = (run_dir.scenario(scenario.name) for run_dir in run_dirs)
    histories = [read_history(folder) for folder in references]
    return judge_evidence(gather(plan, scenario, histories, read_history(first, *others)))


def judge_evidence(evidence: Evidence) -> Verdict:
    """Run every check and combine the answers."""
    answers = upheld([(check, _result_of(check, evidence)) for check in CHECKS], evidence)
    reports = tuple(CheckReport(name=check.name, claim=check.claim, result=result) for check, result in answers)
    outcome, cause = combine(reports)
    return Verdict(
        outcome=outcome,
        reason="" if cause is None else str(cause),
        cause=cause,
        scenario=evidence.scenario.name,
        incarnations=tuple(_incarnation(evidence.faulted, number) for number in evidence.faulted.history.incarnations),
        fired_faults=fired_faults(evidence.faulted, evidence.scenario),
        checks=reports,
    )


def undecided(scenario: str, problem: Problem) -> Verdict:
    """The verdict on a scenario that no check looked at."""
    return Verdict(
        outcome=Outcome.UNKNOWN,
        reason=str(problem),
        cause=Cause(problem=problem),
        scenario=scenario,
        incarnations=(),
        fired_faults=(),
        checks=(),
    )


def combine(reports: Sequence[CheckReport]) -> tuple[Outcome, Cause | None]:
    """INVALID beats UNKNOWN beats VALID; and VALID needs a check that compared what was trained on.

    Where evidence is missing, that is the cause: the rest may follow from it.
    """
    outcome = worst(report.result.outcome for report in reports)
    deciding = [report for report in reports if report.result.outcome is outcome]
    if outcome is not Outcome.VALID:
        first = min(deciding, key=_rank_as_cause, default=None)
        return outcome, Cause(problem=NothingCompared()) if first is None else _cause(first)
    proved = {part for report in deciding for part in _CHECKS[report.name].proves}
    if proved != set(get_args(Part)):
        return Outcome.UNKNOWN, Cause(problem=NothingCompared())
    return Outcome.VALID, None


_CHECKS = {check.name: check for check in CHECKS}


def _rank_as_cause(report: CheckReport) -> int:
    """A reference's own failure comes first, then missing evidence, then an end that nobody planned: the rest may follow."""
    match report.result.problem:
        case ReferenceNodeFailed() | ReferenceFailed(exit_code=int()) | EvidenceDamaged():  # in the order of the checks
            return 0
        case DiedUnplanned():
            return 1
    return 2


def _cause(report: CheckReport) -> Cause:
    return Cause(check=report.name, problem=report.result.problem or NothingCompared(), reason=report.result.reason)


def write_verdict(verdict: Verdict, run_dir: RunDir) -> None:
    """Store the verdict in the run directory, readable by a person; it is there as a whole or not at all."""
    replace_whole(run_dir.verdict_file, json_document(verdict))


def _result_of(check: Check, evidence: Evidence) -> CheckResult:
    try:
        return check(evidence)
    except Exception as error:  # a check that breaks must not hide what the others found, and proves nothing itself
        return unknown(CheckFailed(error=f"{type(error).__name__}: {error}".splitlines()[0]))


def _incarnation(run: Run, number: int) -> Incarnation:
    lives = run.group(number)
    nodes = {round_.node for round_ in run.history.rounds if round_.incarnation == number}
    return Incarnation(
        number=number,
        num_nodes=len(nodes),
        world_size=run.history.world_size(number),
        first_step=min((life.first_step for life in lives if life.steps), default=None),
        num_steps=max((len(life.steps) for life in lives), default=0),
    )
