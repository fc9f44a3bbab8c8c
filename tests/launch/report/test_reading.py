from pathlib import Path

import msgspec
import pytest

from launch.checks.result import Outcome
from launch.errors import EvidenceError
from launch.records import encode_node_line
from launch.report.reading import read_results
from launch.results import own_tools
from launch.rundir import RunDir
from launch.verdict import judge_evidence, write_verdict
from tests.launch import histories
from tests.launch.report import samples


def test_a_run_directory_gives_the_results_of_its_evidence(tmp_path):
    """Without a stored verdict the evidence is judged; the versions are those of the ranks."""
    evidence = samples.invalid()
    results = read_results(samples.stored(evidence, tmp_path))
    [case] = results.cases
    assert (judge_evidence(evidence), own_tools(python="3", torch="2")) == (case.verdict, results.tools)
    assert samples.of(evidence).cases[0].spans == case.spans


def test_a_stored_verdict_is_believed(tmp_path):
    """It was given when all the evidence was there."""
    run_dir = samples.stored(samples.valid(), tmp_path)
    verdict = judge_evidence(samples.invalid())
    write_verdict(verdict, run_dir)
    assert [verdict] == [case.verdict for case in read_results(run_dir).cases]


NEWER = msgspec.structs.replace(samples.fixed().cases[0].verdict, version=99)


@pytest.mark.parametrize("content", [b"{", b"", msgspec.json.encode(NEWER)])
def test_a_verdict_that_cannot_be_read_is_made_anew(tmp_path, content):
    """A torn or foreign file is no verdict."""
    evidence = samples.valid()
    run_dir = samples.stored(evidence, tmp_path)
    run_dir.verdict_file.write_bytes(content)
    assert [judge_evidence(evidence)] == [case.verdict for case in read_results(run_dir).cases]


def half_done(folder: Path) -> RunDir:
    """A sweep of two points, of which one has a verdict."""
    run_dir = RunDir(root=folder)
    run_dir.write_plan(samples.sweep_plan([histories.sigkill(1), histories.sigkill(2)]))
    run_dir.scenario("s000").create()
    write_verdict(judge_evidence(samples.valid()), RunDir(root=folder / "s000"))
    return run_dir


def test_what_a_budget_left_out_is_no_case(tmp_path):
    """A sweep that came to its end as it was asked to has a verdict of its own."""
    run_dir = half_done(tmp_path)
    write_verdict(judge_evidence(samples.valid()), run_dir)
    assert [case.scenario for case in read_results(run_dir).cases] == ["s000"]


def test_a_scenario_of_a_sweep_without_a_verdict_is_unknown(tmp_path):
    """A sweep that was broken off does not pass for one that came to its end."""
    results = read_results(half_done(tmp_path))
    assert [case.verdict.outcome for case in results.cases] == [Outcome.VALID, Outcome.UNKNOWN]
    assert "not judged" in results.cases[1].verdict.reason


def test_time_runs_from_the_first_rank_to_the_end_of_the_last_node(tmp_path):
    """On the monotonic clock of the machine, over both nodes."""
    evidence = samples.valid()
    run_dir = samples.stored(evidence, tmp_path)
    late = msgspec.structs.replace(evidence.faulted.history.ends[0], node=1, time_ns=2_500_000_000)
    (run_dir.scenario("faulted").nodes / "node-1.jsonl").write_bytes(encode_node_line(late) + b"torn")
    assert [case.time_s for case in read_results(run_dir).cases] == [2.5]


def test_what_is_no_run_directory_is_refused(tmp_path):
    """The message names it."""
    with pytest.raises(EvidenceError, match="no run directory"):
        read_results(RunDir(root=tmp_path))
