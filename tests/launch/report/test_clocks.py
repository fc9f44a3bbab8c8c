"""Machines whose clocks have nothing in common, on one axis."""

from __future__ import annotations

import msgspec
import pytest

from resumable.launch.evidence.history import Process
from resumable.launch.reading.lives import Run
from resumable.launch.report.clocks import Clocks
from resumable.launch.report.lanes import track_of
from resumable.launch.report.samples import BatchNumbers
from tests.launch import histories
from tests.launch.histories import Job

JOB = Job()
DAY_NS = 86_400 * 10**9
LIFE_NS = 10**9


def placed(process: Process, hosts: list[tuple[str, str]], offsets: dict[str, int]) -> Process:
    """As it would be if its rank ran on that host: a line a millisecond, a life a second, from the host's own start on."""
    host = hosts[process.incarnation][process.rank]
    begin = offsets[host] + process.incarnation * LIFE_NS
    records = [msgspec.structs.replace(r, time_ns=begin + r.sequence * 10**6) for r in process.records]
    records[0] = msgspec.structs.replace(records[0], host=host)
    return msgspec.structs.replace(process, start=records[0], records=tuple(records))


def run_on(hosts: list[tuple[str, str]], offsets: dict[str, int]) -> Run:
    """Rank 1 is killed; each incarnation runs on these hosts, by rank."""
    groups = [histories.killed(JOB, 5), histories.resumed(JOB, 4)]
    processes = [
        placed(process, hosts, offsets)
        for number, lives in enumerate(groups)
        for process in histories.group(JOB, lives, incarnation=number)
    ]
    return histories.of_histories(histories.history("faulted", processes), JOB, [histories.sigkill(4)]).faulted


@pytest.mark.parametrize(
    ("hosts", "begins_us"),
    [
        pytest.param([("", ""), ("", "")], [0, 0, 10**6, 10**6], id="one machine"),
        pytest.param([("a", "b"), ("a", "b")], [0, 0, 10**6, 10**6], id="two machines"),
        pytest.param([("a", "b"), ("a", "c")], [0, 0, 10**6, 10**6], id="one is replaced"),
        pytest.param([("a", "b"), ("b", "a")], [0, 0, 10**6, 10**6], id="ranks change places"),
    ],
)
@pytest.mark.parametrize("shift", [0, 3 * DAY_NS, -3 * DAY_NS])
def test_lives_begin_together_and_after_each_other(hosts, begins_us, shift):
    """Whenever each machine was started."""
    offsets = {"": DAY_NS, "a": DAY_NS, "b": DAY_NS * 9 + shift, "c": DAY_NS * 5 - shift}
    track = track_of(run_on(hosts, offsets), BatchNumbers().number_of)
    assert begins_us == [lane.begin_us for lane in track.lanes]


def test_machines_that_are_all_new_go_on_where_the_others_ended():
    """Nothing tells how long it took; it was not before."""
    run = run_on([("a", "b"), ("c", "d")], {"a": 0, "b": DAY_NS, "c": 5 * DAY_NS, "d": 2 * DAY_NS})
    lanes = track_of(run, BatchNumbers().number_of).lanes
    end_us = max(lane.end_us for lane in lanes[:2])
    assert [end_us, end_us] == [lane.begin_us for lane in lanes[2:]]


def test_what_the_command_saw_has_the_clock_of_its_machine():
    """Where no rank ran there, that of the first that did."""
    run = run_on([("a", "b"), ("a", "b")], {"a": DAY_NS, "b": 9 * DAY_NS})
    assert Clocks(run).us(DAY_NS + 5000) == 5.0
