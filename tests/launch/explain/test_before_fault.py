import msgspec
import pytest

from resumable.launch.checks.rank_sequence import rank_sequence
from resumable.launch.evidence.history import History, Process
from resumable.launch.evidence.rank_records import AnyRecord, Batch, FaultFired, Step
from resumable.launch.explain.before_fault import differs_before_any_fault
from resumable.launch.explain.check_result import Violation
from resumable.launch.explain.outcome import Outcome
from resumable.launch.plan.fault_grammar import parse_fault
from resumable.launch.plan.fault_model import resolve
from tests.launch import histories
from tests.launch.histories import Job

JOB = Job(num_samples=32)
FAULT = resolve([parse_fault("loaderkill@step=3:rank=1")], world_size=2, seed=0)[0]


def survived(*, other_from: int) -> History:
    """Nothing restarts; rank 1 survives a fault after its fourth step, and from a batch on it trains on others."""
    history = histories.reference(JOB)
    first, second = history.processes
    return msgspec.structs.replace(history, name="faulted", processes=(first, hit(second, other_from=other_from)))


def hit(process: Process, *, other_from: int, after: int = 3) -> Process:
    lines: list[AnyRecord] = []
    num_batches = 0
    for line in process.records:
        if isinstance(line, Batch):
            is_other = num_batches >= other_from
            num_batches += 1
            lines.append(msgspec.structs.replace(line, indices=line.indices[::-1]) if is_other else line)
        else:
            lines.append(line)
        if isinstance(line, Step) and line.step == after:
            lines.append(FaultFired(sequence=0, time_ns=0, fault=0, kind="loaderkill"))
    numbered = [msgspec.structs.replace(line, sequence=number) for number, line in enumerate(lines)]
    return msgspec.structs.replace(process, records=tuple(numbered))


@pytest.mark.parametrize(("other_from", "outcome"), [(2, Outcome.UNKNOWN), (4, Outcome.INVALID), (7, Outcome.INVALID)])
def test_what_differs_after_a_fault_that_was_survived_is_its_consequence(other_from, outcome):
    """What differs before it shows a job that does not repeat itself."""
    evidence = histories.of_histories(survived(other_from=other_from), JOB, [FAULT])
    assert rank_sequence(evidence).outcome == outcome


def test_a_fault_that_was_survived_in_a_later_life_excuses_nothing_before_the_restart():
    """The job differed before anything was done to it."""
    first = histories.group(JOB, histories.killed(JOB, 8), incarnation=0)
    second = histories.group(JOB, histories.resumed(JOB, 4), incarnation=1)
    second[1] = hit(second[1], other_from=99, after=5)
    evidence = histories.of_histories(histories.history("faulted", [*first, *second]), JOB, [FAULT])
    differ = [differs_before_any_fault([Violation(incarnation=number, step=7)], evidence) for number in (0, 1)]
    assert differ == [True, False]
