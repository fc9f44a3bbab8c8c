"""Results in memory: one case of each outcome, a sweep of all of them, and one whose every text is hostile."""

from __future__ import annotations

from pathlib import Path

import msgspec

from resumable.launch.evidence.history import History
from resumable.launch.evidence.node_records import encode_node_line
from resumable.launch.evidence.rank_records import encode_line
from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.explain.check_result import CheckResult, Violation, failed
from resumable.launch.explain.codes.batch_problems import BatchDiffers
from resumable.launch.explain.codes.place_reasons import BatchesSkipped
from resumable.launch.explain.codes.resume import HalfWritten
from resumable.launch.explain.codes.verdicts import EvidenceDamaged
from resumable.launch.explain.outcome import Outcome
from resumable.launch.judge.results import Results, Span, Tools, results_of, spans_of
from resumable.launch.judge.verdict import Cause, CheckReport, Incarnation, Verdict, judge_evidence
from resumable.launch.plan.fault_model import PlannedFault
from resumable.launch.plan.plan import Plan, Scenario
from resumable.launch.reading.evidence import Evidence
from resumable.launch.reading.failures import FaultEvent
from tests.launch import histories
from tests.launch.histories import Job
from tests.launch.sweep.sweeps import drawn

JOB = Job(num_samples=64, batch_size=4)
TOOLS = Tools(resumable="0.1", python="3.11", torch="2.6")
HOSTILE = "</td><script>alert(1)</script> ]]> `a|b` ```\n## *no* @all $x$ \x00\x1b[31m\ud800 %0A::error::x"


def valid() -> Evidence:
    return histories.one_kill(JOB)


def invalid() -> Evidence:
    return histories.one_kill(JOB, rank1=lambda epochs: [epochs[0][1:], *epochs[1:]])


def undecided() -> Evidence:
    return histories.evidence(JOB, [histories.resumed(JOB, 0)], [histories.sigkill(1000)])


def stored(evidence: Evidence, root: Path) -> RunDir:
    """The evidence as the launcher would have written it."""
    run_dir = RunDir(root=root)
    run_dir.write_plan(evidence.plan)
    for run in (*evidence.references, evidence.faulted):
        store(run.history, run_dir)
    return run_dir


def store(history: History, run_dir: RunDir) -> None:
    """One run of it."""
    scenario = run_dir.scenario(history.name)
    scenario.create()
    for process in history.processes:
        (run_dir.root / process.file).write_bytes(b"".join(map(encode_line, process.records)))
    nodes = b"".join(map(encode_node_line, (*history.rounds, *history.ends)))
    (scenario.nodes / "node-0.jsonl").write_bytes(nodes)
    for log in history.logs:
        (scenario.logs / log).parent.mkdir(exist_ok=True)
        (scenario.logs / log).touch()


def of(evidence: Evidence) -> Results:
    """What a `verify` with this evidence leaves."""
    return results_of(
        evidence.plan,
        [(evidence.scenario, judge_evidence(evidence))],
        run_dir="runs/1",
        tools=TOOLS,
        times_s={"faulted": 1.5},
        spans={"faulted": spans_of(evidence.faulted)},
    )


def empty() -> Results:
    """A sweep that was ended before its first scenario."""
    return results_of(sweep_plan([]), [], run_dir="runs/1", tools=TOOLS)


def sweep(num_steps: int = 12, num_ranks: int = 2) -> Results:
    """Every step of every rank: rank 0 always resumes well; rank 1 not at step 3 and 4; step 5 nobody knows."""
    faults = [histories.sigkill(step, rank=rank, number=0) for rank in range(num_ranks) for step in range(num_steps)]
    plan = sweep_plan(faults)
    verdicts = {
        Outcome.VALID: judge_evidence(valid()),
        Outcome.INVALID: judge_evidence(invalid()),
        Outcome.UNKNOWN: judge_evidence(undecided()),
    }
    judged = [(scenario, verdicts[outcome_at(scenario.faults[0])]) for scenario in plan.scenarios]
    return results_of(plan, judged, run_dir="runs/1", tools=TOOLS)


def broken_off() -> Results:
    """A sweep of two points whose budget was spent after the first, which is INVALID."""
    plan = drawn(at="4", ranks="0-1")
    return results_of(plan, [(plan.points[0], judge_evidence(invalid()))], run_dir="runs/1", tools=TOOLS)


def sampled() -> Results:
    """A sweep of which two points were drawn, and are VALID."""
    plan = drawn(at="4-7", sample=2)
    return results_of(plan, [(point, judge_evidence(valid())) for point in plan.points], run_dir="runs/1", tools=TOOLS)


def outcome_at(fault: PlannedFault) -> Outcome:
    if fault.rank == 1 and fault.when.numbers[0] in (3, 4):
        return Outcome.INVALID
    return Outcome.UNKNOWN if fault.when.numbers[0] == 5 else Outcome.VALID


def sweep_plan(faults: list[PlannedFault]) -> Plan:
    """A sweep with one fault a scenario."""
    scenarios = tuple(
        Scenario(name=f"s{number:03d}", faults=(fault,), max_restarts=1, nproc_per_start=(2,))
        for number, fault in enumerate(faults)
    )
    return msgspec.structs.replace(histories.plan(), command="sweep", scenarios=scenarios)


def hostile(outcome: Outcome = Outcome.INVALID) -> Results:
    """One case in which everything that a job can say is an attack on the format."""
    problem, reason = EvidenceDamaged(path=HOSTILE, what=HOSTILE), HalfWritten(path=HOSTILE)
    violation = Violation(problem=problem, reason=reason, expected=(HOSTILE,), found=(1,), file=HOSTILE, line=1)
    result = CheckResult(outcome=outcome, summary=HOSTILE, problem=problem, violations=(violation,))
    verdict = Verdict(
        outcome=outcome,
        reason=HOSTILE,
        scenario="faulted",
        incarnations=(),
        fired_faults=(),
        checks=(CheckReport(name="rank_sequence", claim=HOSTILE, result=result),),
    )
    plan = histories.plan(histories.sigkill(4))
    said = HOSTILE.replace("\ud800", "")  # a command line of UTF-8
    script = msgspec.structs.replace(plan.script, path=said, arguments=(said,))
    plan = msgspec.structs.replace(plan, script=script)
    return results_of(plan, [(plan.scenarios[-1], verdict)], run_dir=HOSTILE, tools=TOOLS)


def fixed() -> Results:
    """A case written down by hand, every field filled: it changes with the format alone, not with a check's words."""
    problem = BatchDiffers(rank=1, epoch=2, batch=3)
    reason = BatchesSkipped(epoch=2, num=1, num_done=3, batch=4, cause="unknown")
    violation = Violation(
        problem=problem,
        reason=reason,
        rank=1,
        incarnation=1,
        epoch=2,
        batch=3,
        step=4,
        expected=(5, 6),
        found=(7, "key"),
        lost=(5,),
        extra=(7,),
        file="faulted/events/i001-r0001-1.jsonl",
        line=8,
    )
    verdict = Verdict(
        outcome=Outcome.INVALID,
        reason="rank_sequence: rank 1 trained on different samples",
        cause=Cause(check="rank_sequence", problem=problem, reason=reason),
        scenario="faulted",
        incarnations=(Incarnation(number=0, num_nodes=1, world_size=2, first_step=0, num_steps=5),),
        fired_faults=(
            FaultEvent(
                what="sigkill@step=4:rank=1",
                is_planned=True,
                rank=1,
                incarnation=0,
                step=5,
                epoch=0,
                batch=4,
                restart_s=0.5,
                log="faulted/logs/i000/rank1.err",
                exit_code=137,
            ),
        ),
        checks=(
            CheckReport(name="rank_sequence", claim="Each rank is right.", result=failed([violation], "1 of 2 ranks")),
        ),
    )
    plan = histories.plan(histories.sigkill(4))
    span = Span(rank=1, incarnation=0, first_step=0, num_steps=5, num_kept=4, num_replayed=0, end="fault")
    return results_of(
        plan,
        [(plan.scenarios[-1], verdict)],
        run_dir="runs/1",
        tools=TOOLS,
        times_s={"faulted": 1.5},
        spans={"faulted": (span,)},
        started="2026-01-02T03:04:05+00:00",
        finished="2026-01-02T03:05:05+00:00",
    )
