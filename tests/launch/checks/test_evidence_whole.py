import msgspec

from resumable.launch.checks.evidence_whole import evidence_whole
from resumable.launch.evidence.history import Damage
from resumable.launch.explain.outcome import Outcome
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
