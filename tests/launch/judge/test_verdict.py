from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from resumable.launch.checks.check import Check
from resumable.launch.evidence.history import Damage, History
from resumable.launch.evidence.node_records import encode_node_line
from resumable.launch.evidence.rank_records import (
    AnyRecord,
    Backward,
    Batch,
    Save,
    SkippedStep,
    State,
    Step,
    encode_line,
)
from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.explain.check_result import CheckResult, Violation, failed, passed, unknown
from resumable.launch.explain.codes.batch_problems import BatchAfterEnd
from resumable.launch.explain.codes.ends import DiedUnplanned
from resumable.launch.explain.codes.faults import FaultWithoutEffect
from resumable.launch.explain.codes.references import ReferenceFailed, ReferenceMissing
from resumable.launch.explain.codes.state_problems import StateContradicts, StepLeftOut
from resumable.launch.explain.codes.statement import Problem
from resumable.launch.explain.codes.verdicts import EvidenceDamaged, NothingResumed
from resumable.launch.explain.outcome import Outcome
from resumable.launch.judge import verdict as verdict_module
from resumable.launch.judge.verdict import (
    Cause,
    CheckReport,
    Verdict,
    combine,
    judge,
    judge_evidence,
    read_evidence,
    undecided,
    write_verdict,
)
from resumable.launch.plan.fault_grammar import parse_fault
from resumable.launch.plan.fault_model import resolve
from resumable.launch.reading.evidence import Evidence
from tests.launch import histories
from tests.launch.changes import Change, changed, fields, together, without
from tests.launch.histories import Epochs, Job, Life
from tests.launch.states import with_component, with_states

JOB = Job(world_size=4, num_samples=64)


def test_a_run_that_resumes_exactly_is_valid():
    """A job killed in mid-epoch that goes on from its checkpoint with the right batches is VALID."""
    verdict = judge_evidence(histories.one_kill(JOB))
    assert (verdict.outcome, verdict.reason, verdict.advice, verdict.exit_code) == (Outcome.VALID, "", "", 0)
    assert (bool(verdict), verdict.notes[:1]) == (
        True,
        tuple(note for one in verdict.checks for note in one.result.notes)[:1],
    )


def test_a_run_that_skips_a_batch_is_invalid():
    """A rank that leaves out the first batch after its restart is INVALID."""
    verdict = judge_evidence(histories.one_kill(JOB, rank1=lambda epochs: [epochs[0][1:], *epochs[1:]]))
    assert (verdict.outcome, verdict.exit_code) == (Outcome.INVALID, 1)
    assert (bool(verdict), verdict.notes) == (False, ())


def test_a_run_without_a_fault_is_unknown():
    """Nothing was interrupted, so nothing is proved."""
    verdict = judge_evidence(histories.evidence(JOB, [histories.resumed(JOB, 0)], []))
    assert (verdict.outcome, verdict.exit_code) == (Outcome.UNKNOWN, 3)


def test_a_fault_that_did_not_fire_is_unknown():
    """A step that never comes."""
    verdict = judge_evidence(histories.evidence(JOB, [histories.resumed(JOB, 0)], [histories.sigkill(1000)]))
    assert verdict.outcome == Outcome.UNKNOWN
    assert "training ended after 24 steps" in verdict.reason


def test_what_a_process_does_that_lived_on_accuses_nobody():
    """It caught the exception, loaded its checkpoint and went on by itself: for its place in training no restart speaks."""
    planned = resolve([parse_fault("exception@step=4:rank=1")], world_size=4, seed=0)[0]
    again = Batch(sequence=0, time_ns=0, loader=0, epoch=1, batch=0, indices=[0])
    step = Step(sequence=0, time_ns=0, step=5, after="b")
    history = histories.hit(JOB, planned, again, Backward(sequence=0, time_ns=0), step)
    verdict = judge_evidence(histories.of_histories(history, JOB, [planned]))
    assert (verdict.outcome, "the script caught it" in verdict.reason) == (Outcome.UNKNOWN, True)
    assert "sigkill" in verdict.advice


def accused(faulted: History, **references: History) -> tuple[Outcome, str]:
    """What comes of it, and which check decides."""
    verdict = judge_evidence(histories.of_histories(faulted, JOB, [histories.sigkill(4)], **references))
    return verdict.outcome, "" if verdict.cause is None else verdict.cause.check


def without_optimizer(line: AnyRecord) -> AnyRecord:
    is_start = isinstance(line, State) and line.moment == "start"
    return with_component(line, "optimizer", {}) if is_start else line


def test_lost_state_needs_no_yardstick():
    """However little the uninterrupted runs are alike, the run had saved something else."""
    change = together(without_optimizer, fields(Step, components={}))
    lost = changed(with_states(histories.one_kill(JOB).faulted.history), change, incarnation=1)
    different = histories.reference(replace(JOB, shuffle=False), 2)
    assert accused(lost, second=different) == (Outcome.INVALID, "restored")


def with_average(average: Callable[[Save], str]) -> Change:
    return fields(Save, content=lambda line: {"average": average(line)})


def test_losses_and_parameters_that_are_right_excuse_batches_alone():
    """An average that was lost is in none of them."""
    runs = [histories.one_kill(JOB).faulted.history, *(histories.reference(JOB, number) for number in (1, 2))]
    faulted, first, second = (changed(run, with_average(lambda line: line.path)) for run in runs)
    lost = changed(faulted, with_average(lambda _: "none"), incarnation=1)
    assert accused(lost, first=first, second=second) == (Outcome.INVALID, "artefacts")


def test_wrong_batches_after_numbers_that_were_different_before_are_wrong():
    """The numbers alone have no yardstick then."""
    wrong = histories.one_kill(JOB, rank1=lambda epochs: [epochs[0][1:], *epochs[1:]]).faulted.history
    early = fields(Backward, when=lambda line: line.loss == JOB.loss(0, 1), loss=-1.0)
    assert accused(changed(wrong, early, incarnation=0, rank=0)) == (Outcome.INVALID, "rank_sequence")


FAILED = ReferenceFailed(run="reference-1", rank=0, exit_code=1, message="KeyError: 'a'", log="err")
DAMAGED = EvidenceDamaged(path="faulted", what="the scenario was not run")
CODES = {Outcome.INVALID: BatchAfterEnd(rank=1), Outcome.UNKNOWN: NothingResumed()}


def report(name: str, outcome: Outcome, problem: Problem | None = None) -> CheckReport:
    result = CheckResult(outcome=outcome, summary="", problem=problem or CODES.get(outcome))
    return CheckReport(name=name, claim="", result=result)


@pytest.mark.parametrize(
    ("reports", "expected"),
    [
        ([report("rank_sequence", Outcome.VALID), report("state", Outcome.VALID)], (Outcome.VALID, None)),
        ([report("global_batches", Outcome.VALID), report("state", Outcome.NOT_APPLICABLE)], (Outcome.VALID, None)),
        ([report("rank_sequence", Outcome.VALID), report("state", Outcome.UNKNOWN)], (Outcome.UNKNOWN, "state")),
        ([report("state", Outcome.UNKNOWN), report("content", Outcome.INVALID)], (Outcome.INVALID, "content")),
        ([report("state", Outcome.VALID)], (Outcome.UNKNOWN, "")),
        ([report("state", Outcome.NOT_APPLICABLE)], (Outcome.UNKNOWN, "")),
        ([], (Outcome.UNKNOWN, "")),
    ],
)
def test_invalid_beats_unknown_beats_valid(reports, expected):
    """And nothing is VALID without a check that compared batches."""
    outcome, cause = combine(reports)
    assert expected == (outcome, cause and cause.check)


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        pytest.param(FAILED, "reference", id="its own error comes before what is missing because of it"),
        pytest.param(
            msgspec.structs.replace(FAILED, exit_code=None), "evidence_whole", id="what is inferred comes after"
        ),
        pytest.param(ReferenceMissing(), "evidence_whole", id="as all that may follow from it"),
    ],
)
def test_what_a_reference_recorded_of_its_failure_beats_what_is_missing(problem: Problem, expected: str) -> None:
    """A scenario that was not run since the reference failed explains nothing."""
    reports = [report("reference", Outcome.UNKNOWN, problem), report("evidence_whole", Outcome.UNKNOWN, DAMAGED)]
    _, cause = combine(reports)
    assert cause is not None
    assert expected == cause.check


def test_an_end_that_nobody_planned_explains_what_did_not_happen() -> None:
    """A fault that did not fire, for example."""
    died = DiedUnplanned(rank=0, incarnation=0, num_steps=1, message="SIGSEGV")
    _, cause = combine([report("fault_fired", Outcome.UNKNOWN), report("progress", Outcome.UNKNOWN, died)])
    assert cause is not None
    assert cause.problem == died


def test_wrong_batches_of_a_job_that_did_not_come_to_its_end_are_wrong() -> None:
    """What it had not done yet is not known, and changes nothing of what it did."""
    lives = histories.killed(JOB, 9, base=4)
    lives[1] = replace(lives[1], epochs=[lives[1].epochs[0][1:], *lives[1].epochs[1:]])
    verdict = judge_evidence(histories.evidence(JOB, [histories.killed(JOB, 5), lives], [histories.sigkill(4)]))
    assert {one.name: one.result.outcome for one in verdict.checks}["progress"] is Outcome.UNKNOWN
    assert (verdict.outcome, verdict.cause and verdict.cause.check) == (Outcome.INVALID, "rank_sequence")


def problem_of(verdict: Verdict, check: str) -> Problem | None:
    return next(one.result.problem for one in verdict.checks if one.name == check)


turned = fields(Batch, indices=lambda line: line.indices[::-1])


def test_batches_that_seem_wrong_where_all_numbers_are_right_were_misread() -> None:
    """No wrong batch leaves losses and parameters right to the last bit; what was seen is kept."""
    faulted = changed(histories.one_kill(JOB).faulted.history, turned, incarnation=1, rank=1)
    verdict = judge_evidence(histories.of_histories(faulted, JOB, [histories.sigkill(4)]))
    assert (verdict.outcome, verdict.cause and verdict.cause.check) == (Outcome.UNKNOWN, "rank_sequence")
    accused = [one for one in verdict.checks if isinstance(one.result.problem, StateContradicts)]
    assert [one.name for one in accused] == ["rank_sequence", "replay_identical"]
    seen = accused[0].result.violations[0]
    assert accused[0].result.problem == StateContradicts(what=seen.sentence, num_steps=4 * (5 + 20))


@pytest.mark.parametrize("step", [4, 8])
@pytest.mark.parametrize("is_wrong_before", [True, False])
def test_batches_behind_a_step_that_was_left_out_by_chance_accuse_nobody(step: int, *, is_wrong_before: bool) -> None:
    """Numbers do not repeat, and a gradient overflowed in this run alone; what was wrong before is wrong."""
    wrong = {"rank1": lambda epochs: [epochs[0][::-1], *epochs[1:]]} if is_wrong_before else {}
    left_out = SkippedStep(sequence=0, time_ns=0)
    faulted = changed(
        histories.one_kill(JOB, **wrong).faulted.history,
        lambda line: left_out if isinstance(line, Step) and line.step == step else line,
        incarnation=1,
    )
    second = changed(histories.reference(JOB, 2), fields(Backward, loss=-1.0))
    verdict = judge_evidence(histories.of_histories(faulted, JOB, [histories.sigkill(4)], second=second))
    is_excused = step == 4 or not is_wrong_before
    assert verdict.outcome is (Outcome.UNKNOWN if is_excused else Outcome.INVALID)
    found = problem_of(verdict, "rank_sequence")
    assert isinstance(found, StepLeftOut) == is_excused
    assert not is_excused or (found.num_steps, "rank 0" in found.what) == (step, True)


def test_a_process_trains_from_where_the_first_of_its_ranks_does() -> None:
    """A group of which nothing is known is told too, and on how many nodes each was."""
    job = Job(num_samples=32)
    after = [histories.resumed(job, 4)[0], replace(histories.resumed(job, 2)[1], stop_after=6)]
    history = histories.evidence(job, [histories.killed(job, 5), after], []).faulted.history
    first, second = history.rounds
    rounds = (first, msgspec.structs.replace(first, node=1), second, msgspec.structs.replace(second, incarnation=2))
    verdict = judge_evidence(histories.of_histories(msgspec.structs.replace(history, rounds=rounds), job, []))
    found = [(one.num_nodes, one.first_step, one.num_steps) for one in verdict.incarnations]
    assert found == [(2, 0, 5), (1, 2, 20), (1, None, 0)]


def test_a_scenario_is_no_reference_of_its_own(tmp_path) -> None:
    """Of a plan without any fault the last undisturbed run is judged, beside the others."""
    evidence = histories.one_kill(JOB)
    run_dir = RunDir(root=tmp_path)
    stored(evidence, run_dir)
    plan = msgspec.structs.replace(evidence.plan, scenarios=evidence.plan.scenarios[:2])
    found = read_evidence(plan, run_dir)
    assert [run.history.name for run in found.runs] == ["reference-1", "reference-2"]


def test_what_nobody_looked_at_is_unknown() -> None:
    """And says why."""
    verdict, why = undecided("point-1", NothingResumed()), str(NothingResumed())
    assert (verdict.outcome, verdict.reason, verdict.scenario, verdict.checks) == (Outcome.UNKNOWN, why, "point-1", ())
    assert (verdict.cause, verdict.incarnations, verdict.fired_faults) == (Cause(problem=NothingResumed()), (), ())


@pytest.mark.parametrize(
    ("effect", "expected"), [("the script caught it", Outcome.UNKNOWN), ("the save went on", Outcome.INVALID)]
)
def test_what_is_wrong_after_a_fault_that_was_survived_is_not_proved(
    monkeypatch, effect: str, expected: Outcome
) -> None:
    """No restart came between; a fault that had no other effect excuses nothing."""
    without_effect = FaultWithoutEffect(fault="exception", rank=0, effect=effect)
    results = (unknown(without_effect), failed([Violation(problem=BatchAfterEnd(rank=1))]))
    checks = tuple(Check(name=str(n), claim="", run=lambda _, own=own: own) for n, own in enumerate(results))
    monkeypatch.setattr(verdict_module, "CHECKS", checks)
    accused = judge_evidence(histories.one_kill(JOB)).checks[1].result
    assert accused.outcome is expected
    assert accused.summary.endswith("(not proved: the process lived on)") == (expected is Outcome.UNKNOWN)


def broken_check(evidence: Evidence) -> CheckResult:
    raise KeyError(evidence.scenario.name)


def good_check(evidence: Evidence) -> CheckResult:
    return passed(evidence.scenario.name)


def test_a_check_that_throws_is_unknown(monkeypatch):
    """A check that breaks neither passes nor hides the others."""
    checks = (
        Check(name="broken", claim="A claim.", run=broken_check),
        Check(name="good", claim="Another.", run=good_check),
    )
    monkeypatch.setattr(verdict_module, "CHECKS", checks)
    verdict = judge_evidence(histories.one_kill(JOB))
    assert [(report.name, report.claim, report.result.outcome, report.result.summary) for report in verdict.checks] == [
        ("broken", "A claim.", Outcome.UNKNOWN, "the check itself failed: KeyError: 'faulted'"),
        ("good", "Another.", Outcome.VALID, "faulted"),
    ]


def test_damaged_evidence_accuses_nobody():
    """A line that is missing may be the one that would have made the sequence right."""
    wrong = histories.one_kill(JOB, rank1=lambda epochs: [epochs[0][1:], *epochs[1:]])
    damage = Damage(path="faulted/events/x.jsonl", what="lines are missing")
    history = msgspec.structs.replace(wrong.faulted.history, damage=(damage,))
    verdict = judge_evidence(histories.of_histories(history, JOB, [histories.sigkill(4)]))
    assert (verdict.outcome, verdict.exit_code) == (Outcome.UNKNOWN, 3)


def test_a_job_that_does_not_repeat_itself_is_accused_of_nothing():
    """What is wrong after the restart may be wrong without one too."""
    faulted = histories.one_kill(JOB, rank1=lambda epochs: [epochs[0][1:], *epochs[1:]]).faulted.history
    evidence = histories.of_histories(
        faulted, JOB, [histories.sigkill(4)], second=histories.reference(replace(JOB, shuffle=False), 2)
    )
    verdict = judge_evidence(evidence)
    assert (verdict.outcome, verdict.reason.partition(":")[0]) == (Outcome.UNKNOWN, "reference")


def test_nor_is_one_that_differs_before_its_first_restart():
    """However wrong the rest is."""
    lives = histories.killed(JOB, 5)
    lives[1] = replace(lives[1], epochs=[lives[1].epochs[0][1:], *lives[1].epochs[1:]])
    evidence = histories.evidence(JOB, [lives, histories.resumed(JOB, 4)], [histories.sigkill(4)])
    verdict = judge_evidence(evidence)
    assert verdict.reason == "rank_sequence: the run differs before its first restart: the job does not repeat itself"


def test_the_verdict_tells_when_what_died_and_how_long_the_restart_took():
    """The time runs from the fault to the first batch that any rank received after it."""
    evidence = histories.one_kill(JOB)
    verdict = judge_evidence(evidence)
    death = verdict.fired_faults[0]
    assert (
        death.what,
        death.is_planned,
        death.rank,
        death.incarnation,
        death.step,
    ) == ("sigkill@step=4:rank=1", True, 1, 0, 5)
    assert (death.epoch, death.batch) == (0, 4)
    assert [(i.world_size, i.first_step, i.num_steps) for i in verdict.incarnations] == [(4, 0, 5), (4, 4, 20)]


def stored(evidence: Evidence, run_dir: RunDir) -> None:
    """Write the evidence as the launcher would."""
    run_dir.write_plan(evidence.plan)
    for run in (*evidence.references, evidence.faulted):
        scenario = run_dir.scenario(run.history.name)
        scenario.create()
        for process in run.history.processes:
            (run_dir.root / process.file).write_bytes(b"".join(map(encode_line, process.records)))
        nodes = b"".join(map(encode_node_line, (*run.history.rounds, *run.history.ends)))
        (scenario.nodes / "node-0.jsonl").write_bytes(nodes)
        for log in run.history.logs:
            (scenario.logs / log).parent.mkdir(exist_ok=True)
            (scenario.logs / log).touch()


def test_stored_evidence_gives_the_same_verdict(tmp_path):
    """`resumable check` judges from the files alone, and the verdict itself can be stored and read."""
    evidence = histories.one_kill(JOB, rank1=lambda epochs: [epochs[0][1:], *epochs[1:]])
    run_dir = RunDir(root=tmp_path)
    stored(evidence, run_dir)
    verdict = judge(run_dir.read_plan(), run_dir)
    assert judge_evidence(evidence) == verdict
    write_verdict(verdict, run_dir)
    assert verdict == msgspec.json.decode(run_dir.verdict_file.read_bytes(), type=Verdict)


def test_a_run_without_references_is_never_valid(tmp_path):
    """`resumable run` shows what can be seen without a reference, and proves nothing."""
    evidence = histories.one_kill(JOB)
    run_dir = RunDir(root=tmp_path)
    stored(evidence, run_dir)
    plan = msgspec.structs.replace(evidence.plan, command="run", scenarios=evidence.plan.scenarios[-1:])
    verdict = judge(plan, run_dir)
    assert (verdict.outcome, verdict.reason) == (
        Outcome.UNKNOWN,
        "nothing that was trained on has been compared",
    )


Mutation = Callable[[list[list[int]], int], list[list[int]]]
"""Changes a rank's batches of one epoch at a place."""


def drop(batches, place):
    return [*batches[:place], *batches[place + 1 :]]


def double(batches, place):
    return [*batches[: place + 1], *batches[place:]]


def swap(batches, place):
    other = (place + 1) % len(batches)
    swapped = list(batches)
    swapped[place], swapped[other] = swapped[other], swapped[place]
    return swapped


def alter(batches, place):
    return [*batches[:place], [batches[place][0] + 64, *batches[place][1:]], *batches[place + 1 :]]


def turn(batches, place):
    return [*batches[:place], batches[place][::-1], *batches[place + 1 :]]


def truncate(batches, place):
    return batches[:place]


@given(
    mutation=st.sampled_from([drop, double, swap, alter, turn, truncate]),
    at=st.integers(min_value=1, max_value=22),
    lost=st.integers(min_value=0, max_value=4),
    rank=st.integers(min_value=0, max_value=3),
    data=st.data(),
)
def test_no_mutation_of_what_was_trained_on_after_the_resume_is_valid(mutation, at, lost, rank, data):
    """Whatever a rank trains on otherwise after its restart, the verdict is INVALID."""
    job = replace(JOB, save_every=1)
    resume = max(0, at - lost)
    right = job.epochs_from(rank, resume)
    epoch = data.draw(st.integers(min_value=0, max_value=len(right) - 1))
    place = data.draw(st.integers(min_value=0, max_value=len(right[epoch]) - 1))

    def mutate(epochs: Epochs) -> Epochs:
        return [*epochs[:epoch], mutation(epochs[epoch], place), *epochs[epoch + 1 :]]

    assume(mutate(right) != right)
    evidence = histories.one_kill(job, at=at, resume=resume, **{f"rank{rank}": mutate})
    assert judge_evidence(evidence).outcome == Outcome.INVALID


@given(at=st.integers(min_value=1, max_value=22), lost=st.integers(min_value=0, max_value=4))
def test_an_exact_resume_is_valid_wherever_it_happens(at, lost):
    """Killed after any step, with any number of steps to do again that the checkpoints explain."""
    resume = max(0, at - lost)
    assume(resume == 0 or at <= 2 * resume)
    job = replace(JOB, save_every=resume or 23)
    assert judge_evidence(histories.one_kill(job, at=at, resume=resume)).outcome == Outcome.VALID


@given(number=st.integers(min_value=1), of=st.integers(min_value=0, max_value=15), cut=st.booleans())
def test_no_missing_line_makes_a_wrong_run_valid(tmp_path_factory, number, of, cut):
    """A file with a line missing, or cut off anywhere, never turns an INVALID run into a VALID one."""
    evidence = histories.one_kill(JOB, rank1=lambda epochs: [epochs[0][1:], *epochs[1:]])
    run_dir = RunDir(root=tmp_path_factory.mktemp("run"))
    stored(evidence, run_dir)
    file = sorted(run_dir.root.glob("*/events/*.jsonl"))[of]
    lines = file.read_bytes().splitlines(keepends=True)
    place = number % len(lines)
    file.write_bytes(b"".join(lines[:place] + ([] if cut else lines[place + 1 :])))
    assert judge(evidence.plan, run_dir).outcome in (Outcome.INVALID, Outcome.UNKNOWN)


def test_a_second_fault_in_one_epoch_is_judged_like_the_first():
    """Twice killed and twice resumed, exactly and not."""
    faults = [histories.sigkill(4), histories.sigkill(6, number=1)]
    first, second = histories.killed(JOB, 5), histories.killed(JOB, 7, base=4, fault=1)
    right = histories.resumed(JOB, 6)
    wrong = [Life(epochs=[life.epochs[0][1:], *life.epochs[1:]], base=6, loads=life.loads) for life in right]
    assert [
        judge_evidence(histories.evidence(JOB, [first, second, last], faults)).outcome for last in (right, wrong)
    ] == [Outcome.VALID, Outcome.INVALID]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(without(Batch), Outcome.VALID, id="parameters are right after each step"),
        pytest.param(together(without(Batch), fields(Step, after=None)), Outcome.UNKNOWN, id="nobody knows them"),
    ],
)
def test_without_batches_parameters_decide(change, expected):
    """A job may have none, as where all of its data is one; what is right to the last bit after each step is right."""
    evidence = histories.one_kill(JOB)
    faulted, first, second = (changed(run.history, change) for run in (evidence.faulted, *evidence.references))
    evidence = histories.of_histories(faulted, JOB, [histories.sigkill(4)], first=first, second=second)
    assert judge_evidence(evidence).outcome == expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("restored", "exactly_once"), Outcome.VALID),
        (("restored",), Outcome.UNKNOWN),
        (("exactly_once", "evidence_whole"), Outcome.UNKNOWN),
    ],
)
def test_a_run_proves_alone_that_it_went_on_with_its_state_and_lost_no_sample(
    names: tuple[str, ...], expected: Outcome
) -> None:
    """Both together; neither says enough by itself."""
    reports = [CheckReport(name=name, claim="", result=passed("")) for name in names]
    outcome, _ = combine(reports)
    assert expected is outcome
