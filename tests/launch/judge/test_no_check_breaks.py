"""Whatever is left of a run, every check answers."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resumable.launch.evidence.history import History, Process
from resumable.launch.evidence.node_records import NodeEnded, RankEnded, RankHung
from resumable.launch.evidence.rank_records import Exit
from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.explain.codes.verdicts import CheckFailed
from resumable.launch.explain.outcome import Outcome
from resumable.launch.judge.verdict import Verdict, judge, judge_evidence
from tests.launch import histories
from tests.launch.corpus.record import CORPUS, RECORDINGS
from tests.launch.histories import Job, Life

JOBS = [
    Job(num_samples=16),
    Job(world_size=1, num_samples=8, num_epochs=1),
    Job(world_size=3, batch_size=1, num_samples=10, save_every=1),
]
HUNG = RankHung(incarnation=0, rank=0, pid=0, silent_s=1.0, is_stopped=False, stacks=[], time_ns=0)
ERROR = Exit(sequence=0, time_ns=0, reason="exception", code=1, message="")


def broken(verdict: Verdict) -> list[str]:
    """What checks died of."""
    return [report.result.summary for report in verdict.checks if isinstance(report.result.problem, CheckFailed)]


@st.composite
def lives(draw: st.DrawFn, job: Job) -> list[list[Life]]:
    """Groups that go on anywhere, end anywhere, and train on a part of what they should, or too long."""
    num_steps = job.num_batches * job.num_epochs
    groups = []
    for _ in range(draw(st.integers(1, 3))):
        base = draw(st.integers(0, num_steps))
        stop = draw(st.none() | st.integers(0, num_steps + 1))
        group = []
        for rank in range(job.world_size):
            epochs = job.epochs_from(rank, draw(st.sampled_from([base, 0, max(0, base - 1)])))
            extra = [epochs[0]] if epochs and draw(st.booleans()) else []
            group.append(Life(epochs=[*epochs[draw(st.integers(0, 1)) :], *extra], base=base, stop_after=stop))
        groups.append(group)
    return groups


@st.composite
def damaged(draw: st.DrawFn, history: History) -> History:
    """Processes that are gone, that end anywhere, whose lines are missing, doubled or in disorder; ends of all kinds."""
    processes = [p for p in history.processes if draw(st.integers(0, 9))]
    processes = [draw(spoilt(p)) for p in processes]
    ends = st.sampled_from([(), history.ends, (NodeEnded(node=0, outcome="failed", time_ns=0, message="x"),)])
    gone = [
        RankEnded(incarnation=p.incarnation, rank=p.rank, pid=p.start.pid, time_ns=0, exit_code=code)
        for p in processes
        for code in [draw(st.sampled_from([None, 0, 1, -9, -15]))]
    ]
    return msgspec.structs.replace(
        history,
        processes=tuple(processes),
        rounds=history.rounds[draw(st.integers(0, 1)) :],
        ends=draw(ends),
        rank_ends=tuple(gone[draw(st.integers(0, 2)) :]),
        hangs=(HUNG,) if draw(st.booleans()) else (),
    )


@st.composite
def spoilt(draw: st.DrawFn, process: Process) -> Process:
    draw_line = random.Random(draw(st.integers(0, 1 << 16)))
    first, *rest = process.records
    match draw(st.sampled_from(["whole", "whole", "cut", "thinned", "doubled", "shuffled", "failed"])):
        case "cut":
            rest = rest[: draw_line.randrange(len(rest) + 1)]
        case "thinned":
            rest = [line for line in rest if draw_line.random() < 0.7]
        case "doubled":
            rest = [line for line in rest for _ in range(draw_line.choice([1, 1, 2]))]
        case "shuffled":
            draw_line.shuffle(rest)
        case "failed":
            rest = [*rest[:-1], ERROR]
    lines = [msgspec.structs.replace(line, sequence=number) for number, line in enumerate([first, *rest])]
    return msgspec.structs.replace(process, records=tuple(lines))


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_every_check_answers_on_any_history(data: st.DataObject) -> None:
    """None raises, and neither does what reads for them; what they say can be printed."""
    job = data.draw(st.sampled_from(JOBS))
    groups = data.draw(lives(job))
    known: dict[int, str] = {}
    processes = [p for n, own in enumerate(groups) for p in histories.group(job, own, incarnation=n, known=known)]
    faulted = data.draw(damaged(histories.history("faulted", processes)))
    references = [histories.reference(job, number) for number in (1, 2)]
    first, second = (data.draw(damaged(one)) if data.draw(st.booleans()) else one for one in references)
    second = msgspec.structs.replace(first, name=second.name) if data.draw(st.booleans()) else second
    faults = [histories.sigkill(data.draw(st.integers(0, 5)), rank=data.draw(st.integers(0, 3)))]
    verdict = judge_evidence(histories.of_histories(faulted, job, faults, first=first, second=second))
    assert broken(verdict) == []


@pytest.mark.parametrize("name", [name for name in RECORDINGS if name != "sweep"])
@pytest.mark.parametrize("seed", range(4))
def test_every_check_answers_on_what_is_left_of_a_recorded_run(name: str, seed: int, tmp_path: Path) -> None:
    """Lines are taken away anywhere, as if the numbers had been right all the same; damage never makes a run VALID."""
    run_dir = RunDir(root=Path(shutil.copytree(CORPUS / name, tmp_path / "run")))
    draw = random.Random(seed)
    files = sorted(run_dir.root.rglob("*.jsonl"))
    for file in draw.sample(files, 3):
        lines = file.read_bytes().splitlines(keepends=True)
        number = draw.randrange(len(lines))
        file.write_bytes(b"".join(lines[:number] + lines[number + draw.randint(1, 3) :]))
    verdict = judge(run_dir.read_plan(), run_dir)
    assert (broken(verdict), verdict.outcome in Outcome) == ([], True)
