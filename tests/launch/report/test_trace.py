import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path

import pytest

from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.report.reading import CaseEvidence, read_results
from resumable.launch.report.trace import trace
from tests.launch.report import samples, timelines

RUNS: dict[str, Callable[[Path], RunDir]] = {
    "valid": lambda root: timelines.run_of(samples.valid(), root),
    "invalid": lambda root: timelines.run_of(samples.invalid(), root),
    "sweep": timelines.sweep_run,
    "hostile": timelines.hostile_run,
}


def events_of(run_dir: RunDir) -> list[dict]:
    written = trace(read_results(run_dir), CaseEvidence(run_dir.read_plan(), run_dir))
    return json.loads(written)["traceEvents"]


@pytest.fixture(params=RUNS)
def events(request: pytest.FixtureRequest, tmp_path: Path) -> list[dict]:
    return events_of(RUNS[request.param](tmp_path / "run"))


def slices_by_thread(events: Iterable[dict]) -> list[list[dict]]:
    threads = defaultdict(list)
    for event in events:
        if event["ph"] == "X":
            threads[event["pid"], event["tid"]].append(event)
    return [sorted(own, key=lambda event: (event["ts"], -event["dur"])) for own in threads.values()]


def end_of(event: dict) -> float:
    return event["ts"] + event["dur"]


def test_every_event_says_where_it_belongs(events):
    """In integers, and to a process and a thread that have names."""
    wrong = [event for event in events if (type(event["pid"]), type(event["tid"])) != (int, int)]
    names = {(event["pid"], event["tid"]) for event in events if event["name"] == "thread_name"}
    processes = {event["pid"] for event in events if event["name"] == "process_name"}
    on_threads = {(event["pid"], event["tid"]) for event in events if event["tid"]}
    assert ([], names, processes) == (wrong, on_threads, {event["pid"] for event in events})


def test_slices_of_a_thread_lie_within_or_after_each_other(events):
    """What overlaps, a viewer leaves out."""
    tolerance = 0.002  # the least duration
    wrong = []
    for own in slices_by_thread(events):
        open_slices: list[dict] = []
        for event in own:
            while open_slices and end_of(open_slices[-1]) <= event["ts"] + tolerance:
                open_slices.pop()
            wrong += [event] if open_slices and end_of(open_slices[-1]) + tolerance < end_of(event) else []
            open_slices.append(event)
    assert wrong == []


def test_a_flow_leads_from_a_save_to_a_load(events):
    """Its ends lie in the slices that it joins, and it never goes back in time."""
    flows = defaultdict(dict)
    for event in events:
        if event["ph"] in ("s", "f"):
            flows[event["id"]][event["ph"]] = event
    around = [event for event in events if event["ph"] == "X" and event["cat"] == "checkpoint"]

    def slice_at(end: dict) -> str:
        names = [
            event["name"].split()[0]
            for event in around
            if (event["pid"], event["tid"]) == (end["pid"], end["tid"]) and event["ts"] <= end["ts"] <= end_of(event)
        ]
        return "save" if "save" in names and end["ph"] == "s" else names[-1]

    assert {("save", "load")} == {(slice_at(flow["s"]), slice_at(flow["f"])) for flow in flows.values()}
    assert all(flow["s"]["ts"] <= flow["f"]["ts"] and flow["f"]["bp"] == "e" for flow in flows.values())


def test_a_step_says_what_it_trained_on(tmp_path):
    """And what became of it."""
    steps = [event for event in events_of(RUNS["invalid"](tmp_path / "run")) if event["name"] == "step 4"]
    [lost, again] = [event for event in steps if event["tid"] == 3 and event["pid"] == 3]
    assert (lost["args"]["became"], lost["args"]["samples"]) == ("lost", "51 4 52 38")
    assert (again["args"]["became"], again["args"]["samples"]) == ("kept", "58 6 18 57")


def test_steps_come_one_after_another(events):
    """Of one rank, over all its incarnations."""
    own = [[event for event in thread if event["name"].startswith("step ")] for thread in slices_by_thread(events)]
    assert all(end_of(one) <= other["ts"] + 0.002 for thread in own for one, other in pairwise(thread))


def test_faults_are_instants_of_their_rank(tmp_path):
    """By their planned name."""
    found = [event for event in events_of(RUNS["invalid"](tmp_path / "run")) if event.get("cat") == "fault"]
    assert [(e["name"], e["ph"], e["s"], e["tid"]) for e in found] == [("sigkill@step=4:rank=1", "i", "t", 3)]
