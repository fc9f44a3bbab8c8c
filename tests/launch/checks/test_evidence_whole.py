import msgspec
import pytest

from resumable.launch.checks.evidence_whole import evidence_whole
from resumable.launch.evidence.history import Damage, History
from resumable.launch.explain.outcome import Outcome
from resumable.launch.judge.verdict import judge_evidence
from resumable.launch.reading.evidence import gather
from tests.launch import histories
from tests.launch.histories import Job


def test_whole_evidence_is_valid():
    """Every file and line was read."""
    assert evidence_whole(histories.one_kill()).outcome == Outcome.VALID


def test_damage_in_any_scenario_is_unknown():
    """Also a reference must be whole."""
    damage = Damage(path="reference-2/events/x.jsonl", line=3, what="cannot be decoded")
    spoilt = msgspec.structs.replace(histories.reference(Job(), 2), damage=(damage,))
    result = evidence_whole(histories.of_histories(histories.one_kill().faulted.history, Job(), [], second=spoilt))
    assert (result.outcome, result.summary) == (Outcome.UNKNOWN, "reference-2/events/x.jsonl:3: cannot be decoded")


@pytest.mark.parametrize(
    ("run", "incarnation"),
    [
        pytest.param(2, None, id="the run that is judged"),
        pytest.param(1, None, id="a reference"),
        pytest.param(2, 1, id="one life"),
    ],
)
def test_what_was_kept_differently_is_compared_with_nothing(run: int, incarnation: int | None) -> None:
    """Batches that are known by their samples are none of those that are known by a digest of them, and accuse nobody."""
    evidence = histories.one_kill(Job())
    runs = [one.history for one in (*evidence.references, evidence.faulted)]
    runs[run] = kept_as_batches(runs[run], incarnation=incarnation)
    verdict = judge_evidence(gather(evidence.plan, evidence.scenario, runs[:2], runs[2]))
    assert verdict.outcome == Outcome.UNKNOWN
    assert "nothing compares the two" in verdict.reason


def test_runs_of_which_the_same_was_kept_are_compared() -> None:
    """Batch by batch, by the digests of their samples."""
    evidence = histories.one_kill(Job())
    runs = [kept_as_batches(run.history) for run in (*evidence.references, evidence.faulted)]
    verdict = judge_evidence(gather(evidence.plan, evidence.scenario, runs[:2], runs[2]))
    assert (verdict.outcome, verdict.reason) == (Outcome.VALID, "")


def kept_as_batches(history: History, *, incarnation: int | None = None) -> History:
    """As if it, or one of its worker groups, had been recorded with `--keep batches`."""
    bare = histories.without_indices(history)
    processes = [
        msgspec.structs.replace(new, start=msgspec.structs.replace(new.start, keep="batches"))
        if incarnation in (None, new.incarnation)
        else old
        for old, new in zip(history.processes, bare.processes, strict=True)
    ]
    return msgspec.structs.replace(history, processes=tuple(processes))
