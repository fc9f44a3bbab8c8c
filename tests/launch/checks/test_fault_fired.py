import msgspec
import pytest

from resumable.launch.checks.fault_fired import fault_fired
from resumable.launch.evidence.node_records import NodeAct, NodeFaultActed, RankHung
from resumable.launch.evidence.rank_records import AnyRecord, Batch, Error, Exit, FaultRefused, Save, Step
from resumable.launch.explain.check_result import CheckResult
from resumable.launch.explain.outcome import Outcome
from resumable.launch.plan.fault_grammar import parse_fault
from resumable.launch.plan.fault_kinds import FaultKind
from resumable.launch.plan.fault_model import PlannedFault, Point, When, resolve
from tests.launch import histories
from tests.launch.changes import changed, without
from tests.launch.histories import Job, Life

JOB = Job()


def judged(*faults: PlannedFault, at: int = 5):
    groups = [histories.killed(JOB, at), histories.resumed(JOB, 4)]
    return fault_fired(histories.evidence(JOB, groups, faults))


def at_resume(num_steps: int) -> PlannedFault:
    return PlannedFault(number=0, kind=FaultKind.SIGKILL, when=When(Point.RESUME, (num_steps,)), rank=1)


def test_a_fault_that_fired_as_planned_is_valid():
    """Its record is there, from its rank, after its step."""
    result = judged(histories.sigkill(4))
    assert (result.outcome, result.summary) == (Outcome.VALID, "1 fault, in incarnation 0")


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        pytest.param([], "no fault was planned", id="none"),
        pytest.param(
            [histories.sigkill(4, rank=7, number=1)], "rank 7 does not exist among 2 ranks", id="no such rank"
        ),
        pytest.param([histories.sigkill(99, number=1)], "training ended after 12 steps", id="no such step"),
        pytest.param([histories.sigkill(4, rank=0)], "fired on rank 1", id="wrong rank"),
        pytest.param([histories.sigkill(3)], "fired at a different moment, when 5 steps were done", id="wrong step"),
        pytest.param([at_resume(0)], "fired at a different moment", id="before any restart"),
    ],
)
def test_a_fault_that_did_not_fire_as_planned_is_unknown(faults, words):
    """Never VALID, and the reason is said."""
    result = judged(*faults)
    assert result.outcome == Outcome.UNKNOWN
    assert words in result.summary


def test_a_fault_after_a_restart_fires_in_a_later_incarnation():
    """`resume+1` is one step after the restart."""
    groups = [histories.killed(JOB, 5), histories.killed(JOB, 5, base=4, fault=1), histories.resumed(JOB, 4)]
    faults = [histories.sigkill(4), msgspec.structs.replace(at_resume(1), number=1)]
    assert fault_fired(histories.evidence(JOB, groups, faults)).outcome == Outcome.VALID


def test_a_fault_that_fired_twice_is_unknown():
    """Each fault fires once."""
    groups = [histories.killed(JOB, 5), histories.killed(JOB, 5, base=4), histories.resumed(JOB, 4)]
    result = fault_fired(histories.evidence(JOB, groups, [histories.sigkill(4)]))
    assert (result.outcome, result.summary) == (Outcome.UNKNOWN, "sigkill@step=4:rank=1: fired 2 times")


BATCH = Batch(sequence=0, time_ns=0, loader=0, epoch=1, batch=1, indices=[0, 1])
STEP = Step(sequence=0, time_ns=0, step=5, after=JOB.state(6))
EXIT = Exit(sequence=0, time_ns=0, reason="exception", code=1, message="OSError: [Errno 28]")


def failing(*faults: int) -> Exit:
    """An end by an exception that these faults raised."""
    error = Error(type="builtins.RuntimeError", module="__main__", faults=faults)
    return Exit(sequence=0, time_ns=0, reason="exception", code=1, error=error)


SAVED = Save(sequence=0, time_ns=0, path="ckpt/.new-6", phase="end")


def fault(text: str) -> PlannedFault:
    return resolve([parse_fault(text)], world_size=2, seed=0)[0]


def hit(text: str, *lines: AnyRecord, **changes: object) -> CheckResult:
    """Rank 1 is hit after five steps and leaves these lines."""
    planned = fault(text)
    return fault_fired(histories.of_histories(histories.hit(JOB, planned, *lines, **changes), JOB, [planned]))


def hung(rank: int, incarnation: int) -> RankHung:
    return RankHung(incarnation=incarnation, rank=rank, pid=1, silent_s=5, is_stopped=False, stacks=[], time_ns=0)


def act(name: NodeAct, number: int = 0) -> NodeFaultActed:
    return NodeFaultActed(fault=number, node=0, act=name, time_ns=0)


@pytest.mark.parametrize(
    ("text", "lines", "changes"),
    [
        pytest.param("exit(3)@step=4:rank=1", [EXIT], {}, id="an exit ends the rank"),
        pytest.param(
            "sigterm@step=4:rank=1", [BATCH, STEP, EXIT], {}, id="who is asked to stop may finish what it does"
        ),
        pytest.param("sigint@step=4:rank=1", [EXIT], {}, id="an interrupt"),
        pytest.param("loaderkill@step=4:rank=1", [BATCH, EXIT], {}, id="what workers had read ahead may still come"),
        pytest.param("hang@step=4:rank=1", [], {"hangs": (hung(1, 0),)}, id="the hang watch ended it"),
        pytest.param("sigstop@step=4:rank=1", [], {"hangs": (hung(0, 0),)}, id="or another that waited for it"),
        pytest.param("diskfull@save#1:rank=1", [EXIT], {}, id="a full disk ends the rank"),
        pytest.param("ioerror@save#1:rank=1", [BATCH, STEP, SAVED], {}, id="or only that save"),
        pytest.param(
            "exception@save#1+during:rank=1",
            [BATCH, STEP, failing(0)],
            {},
            id="raised later",
        ),
        pytest.param("exit(3)@save#1+during:rank=1", [BATCH, STEP, failing(0)], {}, id="left later"),
        pytest.param("preempt@step=4:rank=1", [], {"acts": (act("interrupted"),)}, id="the node was told"),
        pytest.param("nodeloss@step=4:rank=1", [], {"acts": (act("lost"),)}, id="the node was killed"),
        pytest.param("partition(for=3)@step=4:rank=1", [], {"acts": (act("cut"),)}, id="the node was cut off"),
    ],
)
def test_a_fault_of_any_kind_that_had_its_effect_is_valid(text, lines, changes):
    """What each kind must leave in the evidence is there."""
    assert hit(text, *lines, **changes).outcome == Outcome.VALID


@pytest.mark.parametrize(
    ("text", "lines", "changes", "words"),
    [
        pytest.param("exit(3)@step=4:rank=1", [BATCH], {}, "fired on rank 1, and the script caught it", id="exit"),
        pytest.param(
            "exception@step=4:rank=1", [STEP], {}, "fired on rank 1, and the script caught it", id="exception"
        ),
        pytest.param("exception@step=4:rank=1", [STEP, EXIT], {}, "the script caught it", id="another exception"),
        pytest.param("abort@step=4:rank=1", [STEP], {}, "fired on rank 1, and the rank went on", id="abort"),
        pytest.param("torn@step=4:rank=1", [BATCH], {}, "fired on rank 1, and the rank went on", id="torn"),
        pytest.param("corrupt@step=4:rank=1", [BATCH], {}, "fired on rank 1, and the rank went on", id="corrupt"),
        pytest.param("hang@step=4:rank=1", [], {}, "the hang watch noticed nothing", id="hang"),
        pytest.param("sigstop@step=4:rank=1", [], {"hangs": (hung(1, 1),)}, "noticed nothing", id="a later hang"),
        pytest.param("diskfull@save#1:rank=1", [SAVED], {}, "the save went on", id="diskfull"),
        pytest.param("ioerror@save#1:rank=1", [SAVED], {}, "the save went on", id="ioerror"),
        pytest.param("preempt@step=4:rank=1", [], {}, "no node was interrupted", id="preempt"),
        pytest.param("nodeloss@step=4:rank=1", [], {"acts": (act("cut"),)}, "no node was lost", id="nodeloss"),
        pytest.param(
            "partition(for=3)@step=4:rank=1", [], {"acts": (act("cut", 7),)}, "no node was cut", id="partition"
        ),
    ],
)
def test_a_fault_without_its_effect_is_unknown(text, lines, changes, words):
    """It fired, but what it should have done did not happen."""
    result = hit(text, *lines, **changes)
    assert result.outcome == Outcome.UNKNOWN
    assert words in result.summary


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sigkill@save#9:rank=0", "rank 0 saved 6 times with torch.save or torch.distributed.checkpoint"),
        ("sigkill@save#0:rank=1", "rank 1 saved 0 times with torch.save or torch.distributed.checkpoint"),
        (
            "sigkill@save#1+during:rank=0",
            "rank 0 never reached the middle of that save: another process wrote it, or it failed before",
        ),
        (
            "torn@save#1:rank=0",
            "no checkpoint of rank 0 was in the run's own folders under the name it was written by; links do not count",
        ),
        ("sigkill@save#1:rank=0", "training ended after 12 steps"),
        (
            "torn@step=4:rank=0",
            "rank 0 had written no checkpoint into the run's own folders; links do not count",
        ),
        (
            "torn@step=4:rank=1",
            "rank 1 had written no checkpoint into the run's own folders; links do not count",
        ),
        ("loaderkill@step=4:rank=1", "rank 1 had no loader worker at that moment"),
        ("preempt@step=4:node=0", "no rank of node 0 reached that point"),
        ("sigkill@load#0:rank=1", "training ended after 12 steps"),
        ("sigkill@epoch=1,batch=99:rank=1", "training ended after 12 steps"),
        ("sigkill@epoch=2,batch=0:rank=1", "training ended after 12 steps"),
        ("sigkill@epoch=9,batch=0:rank=1", "training ended after 3 epochs (the first is epoch 0) and 12 steps"),
    ],
)
def test_a_fault_that_did_not_fire_has_its_reason(text, words):
    """Said in the words of what it waited for."""
    evidence = histories.evidence(JOB, [histories.resumed(JOB, 0)], [fault(text)])
    result = fault_fired(evidence)
    assert (result.outcome, result.summary.partition(": did not fire: ")[2]) == (Outcome.UNKNOWN, words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sigkill@step=4:rank=1", "no optimizer step of rank 1 was seen, and step=4 counts those: use batch="),
        ("loaderkill@step=4:rank=1", "no optimizer step of rank 1 was seen, and step=4 counts those: use batch="),
        ("sigkill@resume+1:rank=1", "no optimizer step of rank 1 was seen, and resume+1 counts those: use batch="),
        ("sigkill@resume+0:rank=1", "there was no restart that it could follow"),
        ("sigkill@batch=99:rank=1", "training ended after 12 steps"),
    ],
)
def test_a_step_never_comes_without_an_optimizer(text, words):
    """Every batch counts as a step of its own then, but no moment of training is told by it."""
    run = histories.evidence(JOB, [histories.resumed(JOB, 0)], []).faulted.history
    first, second = (changed(histories.reference(JOB, number), without(Step)) for number in (1, 2))
    evidence = histories.of_histories(changed(run, without(Step)), JOB, [fault(text)], first=first, second=second)
    assert words == fault_fired(evidence).summary.partition(": did not fire: ")[2]


def test_a_run_that_was_cut_off_may_still_have_come_to_a_step():
    """That none was seen says nothing about its optimizer."""
    run = histories.evidence(JOB, [histories.killed(JOB, 5, rank=-1)], []).faulted.history
    first, second = (changed(histories.reference(JOB, number), without(Step)) for number in (1, 2))
    evidence = histories.of_histories(
        changed(run, without(Step)), JOB, [histories.sigkill(9)], first=first, second=second
    )
    assert "the run ended after 4 steps of rank 1, before its moment came" in fault_fired(evidence).summary


def test_a_fault_after_a_restart_that_never_came_says_so():
    """`resume+0` needs a restart."""
    result = fault_fired(histories.evidence(JOB, [histories.resumed(JOB, 0)], [at_resume(0)]))
    assert "there was no restart that it could follow" in result.summary


def test_files_that_a_fault_leaves_alone_are_named():
    """With the reason: whoever reads it knows what to do."""
    refused = FaultRefused(sequence=0, time_ns=0, fault=0, path="/runs/latest.pt", why="it is a link")
    lives = [Life(epochs=JOB.epochs_from(rank, 0)) for rank in (0, 1)]
    group = histories.group(JOB, lives, incarnation=0)
    group[1] = histories.with_lines(group[1], [refused])
    planned = fault("torn@step=4:rank=1")
    result = fault_fired(histories.of_histories(histories.history("faulted", group), JOB, [planned]))
    words = "/runs/latest.pt (it is a link): left alone, as a fault damages only files of the run's own, and follows no link"
    assert (Outcome.UNKNOWN, f"{planned}: did not fire: {words}") == (result.outcome, result.summary)
