"""What all checks say together, and everything that a report shows."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from resumable.launch.checks import CHECKS, Check
from resumable.launch.evidence.history import read_history
from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.outcome import BY_SEVERITY, Outcome, exit_code
from resumable.launch.plan.plan import Plan
from resumable.launch.reading.evidence import Evidence, gather
from resumable.launch.reading.failures import Death, planned_deaths
from resumable.launch.reading.lives import Run
from resumable.launch.reading.outcome import CheckResult, unknown
from resumable.launch.system.safe_io import replace_whole

VERDICT_VERSION = 1

_COMPARISONS = frozenset(
    {"rank_sequence", "global_batches", "exactly_once", "replay_identical", "content", "state", "saved_state"}
)
"""Checks that mean something only if the job does the same twice."""
_PROOFS = ("rank_sequence", "global_batches")
"""Without one of these nothing that was trained on has been compared."""


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


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to one command."""

    version: int = VERDICT_VERSION
    outcome: Outcome
    reason: str
    """Why it is not valid; "" if it is."""
    scenario: str
    incarnations: tuple[Incarnation, ...]
    deaths: tuple[Death, ...]
    checks: tuple[CheckReport, ...]

    def __bool__(self) -> bool:
        """Whether it is VALID: `assert verdict` holds for nothing else."""
        return self.outcome is Outcome.VALID

    @property
    def exit_code(self) -> int:
        """0 VALID, 1 INVALID, 3 UNKNOWN."""
        return exit_code(self.outcome)


def judge(plan: Plan, run_dir: RunDir) -> Verdict:
    """Read the evidence of a run and say what it proves.

    Without references (`resumable run`) nothing is proved, so the outcome is INVALID or UNKNOWN.
    """
    judged = plan.scenarios[-1]
    references = [] if plan.command == "run" else [s for s in plan.references if s.name != judged.name]
    histories = [read_history(run_dir.scenario(scenario.name)) for scenario in references]
    faulted = read_history(run_dir.scenario(judged.name))
    return judge_evidence(gather(plan, judged, histories, faulted))


def judge_evidence(evidence: Evidence) -> Verdict:
    """Run every check and combine the answers."""
    reports = _without_yardstick(tuple(_run_check(check, evidence) for check in CHECKS))
    outcome, reason = combine(reports)
    return Verdict(
        outcome=outcome,
        reason=reason,
        scenario=evidence.scenario.name,
        incarnations=_incarnations(evidence.faulted),
        deaths=planned_deaths(evidence.faulted, evidence.scenario),
        checks=reports,
    )


def combine(reports: Iterable[CheckReport]) -> tuple[Outcome, str]:
    """INVALID beats UNKNOWN beats VALID; and VALID needs a check that compared what was trained on.

    Where evidence is missing, that is the reason: the rest may follow from it.
    """
    by_outcome: dict[Outcome, list[CheckReport]] = {outcome: [] for outcome in Outcome}
    for report in reports:
        by_outcome[report.result.outcome].append(report)
    for outcome in BY_SEVERITY[:-1]:
        if by_outcome[outcome]:
            first = min(by_outcome[outcome], key=lambda report: report.name != "evidence_whole")
            return outcome, f"{first.name}: {_reason(first.result)}"
    if not any(report.name in _PROOFS for report in by_outcome[Outcome.VALID]):
        return Outcome.UNKNOWN, "nothing that was trained on has been compared"
    return Outcome.VALID, ""


def _reason(result: CheckResult) -> str:
    """Of what is wrong the first violation, and why it came about."""
    if not result.violations or result.outcome is Outcome.UNKNOWN:
        return result.summary
    first = result.violations[0]
    return f"{first.sentence}: {first.explanation}" if first.explanation else first.sentence


def write_verdict(verdict: Verdict, run_dir: RunDir) -> None:
    """Store the verdict in the run directory, readable by a person; it is there as a whole or not at all."""
    replace_whole(run_dir.verdict_file, msgspec.json.format(msgspec.json.encode(verdict), indent=2) + b"\n")


def _run_check(check: Check, evidence: Evidence) -> CheckReport:
    try:
        result = check(evidence)
    except Exception as error:  # a check that breaks must not hide what the others found, and proves nothing itself
        result = unknown(f"the check itself failed: {type(error).__name__}: {error}".splitlines()[0])
    if evidence.damage:
        result = _unproved(result, "the evidence is damaged")
    claim = (check.__doc__ or "").partition("\n")[0]
    return CheckReport(name=check.__name__, claim=claim, result=result)


def _without_yardstick(reports: tuple[CheckReport, ...]) -> tuple[CheckReport, ...]:
    """Where the job does not repeat itself even undisturbed, a difference from the reference accuses nobody."""
    unknown_ones = {report.name: report.result for report in reports if report.result.outcome is Outcome.UNKNOWN}
    differs_undisturbed = "rank_sequence" in unknown_ones and unknown_ones["rank_sequence"].violations
    if "reference" not in unknown_ones and not differs_undisturbed:
        return reports
    return tuple(
        msgspec.structs.replace(report, result=_unproved(report.result, "the reference is no yardstick"))
        if report.name in _COMPARISONS
        else report
        for report in reports
    )


def _unproved(result: CheckResult, why: str) -> CheckResult:
    if result.outcome is not Outcome.INVALID:
        return result
    return msgspec.structs.replace(result, outcome=Outcome.UNKNOWN, summary=f"{result.summary} (not proved: {why})")


def _incarnations(run: Run) -> tuple[Incarnation, ...]:
    return tuple(_incarnation(run, number) for number in run.history.incarnations)


def _incarnation(run: Run, number: int) -> Incarnation:
    lives = [life for life in run.lives if life.incarnation == number]
    nodes = {round_.node for round_ in run.history.rounds if round_.incarnation == number}
    return Incarnation(
        number=number,
        num_nodes=len(nodes),
        world_size=run.history.world_size(number),
        first_step=min((life.first_step for life in lives if life.steps), default=None),
        num_steps=max((len(life.steps) for life in lives), default=0),
    )
