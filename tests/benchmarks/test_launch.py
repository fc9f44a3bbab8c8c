"""The launcher's measurements are read from evidence: the reading is tested, what it measures is not judged here."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest

from resumable.launch.evidence.history import History, Process
from resumable.launch.evidence.node_records import NodeEnded, RoundStarted
from resumable.launch.evidence.rank_records import Batch, FaultFired, Start
from tests.benchmarks.launch.phases import BETWEEN, CLOSE, FORK, NOTICE, SETUP, STEPS, mean, phases_of

MS = 1_000_000


def process(incarnation: int, *times_ms: int, is_killed: bool) -> Process:
    """One rank: it starts, receives a batch, and is killed or receives another one."""
    start_ms, batch_ms, end_ms = times_ms
    start = Start(
        sequence=0,
        time_ns=start_ms * MS,
        format=1,
        incarnation=incarnation,
        rank=0,
        local_rank=0,
        world_size=1,
        node=0,
        pid=1,
        python="3.11",
        torch="2.13",
    )
    batch = Batch(sequence=1, time_ns=batch_ms * MS, loader=0, epoch=0, batch=0)
    last = FaultFired(sequence=2, time_ns=end_ms * MS, fault=0, kind="sigkill")
    again = msgspec.structs.replace(batch, sequence=2, time_ns=end_ms * MS)
    return Process(file="f", start=start, records=(start, batch, last if is_killed else again))


HISTORY = History(
    name="point",
    processes=(process(0, 130, 160, 200, is_killed=True), process(1, 290, 350, 430, is_killed=False)),
    rounds=tuple(
        RoundStarted(incarnation=number, node=0, num_nodes=1, ranks=[0], world_size=1, time_ns=time * MS)
        for number, time in enumerate((110, 270))
    ),
    ends=(NodeEnded(node=0, outcome="succeeded", time_ns=500 * MS),),
)


def test_phases_follow_each_other_without_a_gap() -> None:
    """Their sum is the time from the end of the point before to the end of this one."""
    phases = phases_of(HISTORY, after_ns=100 * MS)
    assert {name: round(seconds * 1000) for name, seconds in phases.items()} == {
        BETWEEN: 10,
        f"1. life: {FORK}": 20,
        f"1. life: {SETUP}": 30,
        f"1. life: {STEPS}": 40,
        NOTICE: 70,
        f"2. life: {FORK}": 20,
        f"2. life: {SETUP}": 60,
        f"2. life: {STEPS}": 80,
        CLOSE: 70,
    }
    assert sum(phases.values()) == pytest.approx(0.4)


def test_the_mean_is_taken_phase_by_phase() -> None:
    """In the order of the phases."""
    assert mean([{"a": 1.0, "b": 2.0}, {"a": 3.0, "b": 2.0}]) == {"a": 2.0, "b": 2.0}


def test_the_recorder_can_be_measured() -> None:
    """In a process of its own, which prints JSON."""
    words = [sys.executable, "-m", "tests.benchmarks.launch.recorder", "1"]
    printed = subprocess.run(words, check=True, timeout=120, capture_output=True, text=True).stdout
    figures = msgspec.json.decode(printed)
    assert {"batch_size", "plain_us", "recorded_us", "recorder_us", "digest_ms_per_mb"} < figures.keys()
    assert figures["bytes_sequential"] < figures["large_batch_size"] < figures["bytes_shuffled"]
