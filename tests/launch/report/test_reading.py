from pathlib import Path

import msgspec
import pytest

from resumable.launch.errors import EvidenceError
from resumable.launch.evidence.node_records import encode_node_line
from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.explain.outcome import Outcome
from resumable.launch.judge.results import own_tools
from resumable.launch.judge.verdict import judge, judge_evidence, write_verdict
from resumable.launch.report.reading import read_results
from resumable.launch.sweep.verdict_store import VerdictStore
from tests.launch.report import samples
from tests.launch.sweep.evidence import BAD, GOOD, store
from tests.launch.sweep.sweeps import verdict


def test_a_run_directory_gives_the_results_of_its_evidence(tmp_path):
    """The evidence is judged; the versions are those of the ranks."""
    evidence = samples.invalid()
    results = read_results(samples.stored(evidence, tmp_path))
    [case] = results.cases
    assert (judge_evidence(evidence), own_tools(python="3", torch="2")) == (case.verdict, results.tools)
    assert samples.of(evidence).cases[0].spans == case.spans


def other_evidence(run_dir: RunDir) -> None:
    """A file is gone: what the stored verdict stood on is not there any more."""
    next(run_dir.scenario("faulted").events.glob("i001-*")).unlink()


def other_verdict(run_dir: RunDir) -> None:
    """It says VALID by itself."""
    write_verdict(judge_evidence(samples.valid()), run_dir)


@pytest.mark.parametrize("forge", [other_evidence, other_verdict])
def test_a_stored_verdict_is_not_believed(tmp_path, forge):
    """The evidence is judged, as by `resumable check`."""
    run_dir = samples.stored(samples.invalid(), tmp_path)
    write_verdict(judge_evidence(samples.invalid()), run_dir)
    forge(run_dir)
    assert [judge(run_dir.read_plan(), run_dir)] == [case.verdict for case in read_results(run_dir).cases]
    assert [case.verdict.outcome for case in read_results(run_dir).cases] != [Outcome.VALID]


@pytest.mark.parametrize("content", [b"{", b"", b'{"version": 99}'])
def test_a_verdict_that_cannot_be_read_does_not_matter(tmp_path, content):
    """A torn or foreign file is no verdict."""
    evidence = samples.valid()
    run_dir = samples.stored(evidence, tmp_path)
    run_dir.verdict_file.write_bytes(content)
    assert [judge_evidence(evidence)] == [case.verdict for case in read_results(run_dir).cases]


@pytest.fixture
def half_done(tmp_path) -> RunDir:
    """A sweep of two points, of which one has a verdict, though not that of its evidence."""
    run_dir = store(samples.invalid(), tmp_path, BAD.name)
    VerdictStore(run_dir).enter(BAD, verdict(Outcome.VALID))
    return run_dir


def test_what_a_budget_left_out_is_no_case(half_done):
    """A sweep that came to its end as it was asked to has a verdict of its own."""
    write_verdict(verdict(Outcome.VALID), half_done)
    cases = read_results(half_done).cases
    assert [(case.scenario, case.verdict.outcome) for case in cases] == [(BAD.name, Outcome.INVALID)]


def test_a_scenario_of_a_sweep_without_a_verdict_is_unknown(half_done):
    """A sweep that was broken off does not pass for one that came to its end."""
    verdicts = {case.scenario: case.verdict for case in read_results(half_done).cases}
    assert (verdicts[BAD.name].outcome, verdicts[GOOD.name].outcome) == (Outcome.INVALID, Outcome.UNKNOWN)
    assert "not judged" in verdicts[GOOD.name].reason


def timed(root: Path, time_unix: float | None = None) -> RunDir:
    """A run of 2.5 s that began then, over two nodes, of which one's file is torn."""
    evidence = samples.valid()
    run_dir = samples.stored(evidence, root)
    history = evidence.faulted.history
    first = msgspec.structs.replace(history.rounds[0], node=1, time_ns=-1, time_unix=time_unix)
    late = msgspec.structs.replace(history.ends[0], node=1, time_ns=2_499_999_999)
    lines = encode_node_line(first) + encode_node_line(late)
    (run_dir.scenario("faulted").nodes / "node-1.jsonl").write_bytes(lines + b"torn")
    return run_dir


def test_time_runs_from_the_first_rank_to_the_end_of_the_last_node(tmp_path):
    """On the monotonic clock of the machine, over both nodes."""
    assert [case.time_s for case in read_results(timed(tmp_path)).cases] == [2.5]


@pytest.mark.parametrize(
    ("time_unix", "expected"),
    [
        (1_000_000_000.0, ("2001-09-09T01:46:40+00:00", "2001-09-09T01:46:42+00:00")),
        (None, (None, None)),
        (1e300, (None, None)),
    ],
)
def test_when_it_was_run_is_by_the_clock_of_its_first_node(tmp_path, time_unix, expected):
    """Where nobody has written it down, or no clock shows it, nothing is said."""
    results = read_results(timed(tmp_path, time_unix))
    assert expected == (results.started, results.finished)


def test_a_sweep_has_finished_when_its_last_point_was_tried_again(half_done):
    """What failed is run once more on plain processes, which is part of the command."""
    history = samples.valid().faulted.history
    begin = msgspec.structs.replace(history.rounds[0], time_ns=0, time_unix=1_000_000_000.0)
    end = msgspec.structs.replace(history.ends[0], time_ns=60_000_000_000)
    again = half_done.scenario(f"{BAD.name}-plain")
    again.create()
    (again.nodes / "node-0.jsonl").write_bytes(encode_node_line(begin) + encode_node_line(end))
    assert read_results(half_done).finished == "2001-09-09T01:47:40+00:00"


def test_what_is_no_run_directory_is_refused(tmp_path):
    """The message names it."""
    with pytest.raises(EvidenceError, match="no run directory"):
        read_results(RunDir(root=tmp_path))
