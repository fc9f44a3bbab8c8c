"""Histories are read from real files."""

import os
from pathlib import Path

import msgspec
import pytest

from resumable.launch.evidence.history import History, Process
from resumable.launch.evidence.history_reader import read_history
from resumable.launch.evidence.node_records import RankEnded, encode_node_line
from resumable.launch.evidence.rank_records import FORMAT_VERSION, Backward, Start, encode_line
from resumable.launch.evidence.run_dir import RunDir, ScenarioDir
from tests.launch import histories
from tests.launch.histories import Job


def written(root: Path, history: History) -> ScenarioDir:
    """The files of a history."""
    scenario = RunDir(root=root).scenario(history.name)
    scenario.create()
    for process in history.processes:
        (root / process.file).write_bytes(b"".join(map(encode_line, process.records)))
    nodes = b"".join(encode_node_line(record) for record in (*history.rounds, *history.ends, *history.rank_ends))
    (scenario.nodes / "node-0.jsonl").write_bytes(nodes)
    for log in history.logs:
        (scenario.logs / log).parent.mkdir(exist_ok=True)
        (scenario.logs / log).touch()
    return scenario


@pytest.fixture
def scenario(tmp_path):
    return written(tmp_path, histories.one_kill().faulted.history)


@pytest.fixture
def first_file(scenario):
    return sorted(scenario.events.iterdir())[0]


def test_what_was_written_is_read_back(tmp_path):
    """Reading a history's files gives the history."""
    expected = histories.one_kill().faulted.history
    read = read_history(written(tmp_path, expected))
    processes = tuple(Process(file=p.file, start=p.start, records=tuple(p.records)) for p in read.processes)
    assert expected == msgspec.structs.replace(read, processes=processes)
    assert [p.events for p in expected.processes] == [p.events for p in read.processes]


def test_a_torn_last_line_is_no_damage(scenario, first_file):
    """A process that was killed while it wrote a line leaves a whole history without that line."""
    first_file.write_bytes(first_file.read_bytes() + b'{"event":"backw')
    history = read_history(scenario)
    assert (history.damage, history.processes[0].is_torn) == ((), True)


def test_a_whole_record_without_its_newline_is_torn(scenario, first_file):
    """A line counts only with its newline."""
    num_lines = first_file.read_bytes().count(b"\n")
    first_file.write_bytes(first_file.read_bytes()[:-1])
    assert num_lines - 1 == len(read_history(scenario).processes[0].records)


def spoil_middle(lines: list[bytes]) -> list[bytes]:
    return [*lines[:5], lines[5][:7] + b"\n", *lines[6:]]


def drop_middle(lines: list[bytes]) -> list[bytes]:
    return [*lines[:5], *lines[6:]]


def drop_start(lines: list[bytes]) -> list[bytes]:
    return [encode_line(Backward(sequence=0, time_ns=0)), *lines[1:]]


def other_version(lines: list[bytes]) -> list[bytes]:
    start = msgspec.json.decode(lines[0], type=Start)
    return [encode_line(msgspec.structs.replace(start, format=FORMAT_VERSION + 1)), *lines[1:]]


def no_text(lines: list[bytes]) -> list[bytes]:
    return [*lines[:5], b"\xff\xfe\n", *lines[6:]]


@pytest.mark.parametrize(
    ("spoil", "line", "what"),
    [
        (spoil_middle, 6, "cannot be decoded"),
        (no_text, 6, "cannot be decoded"),
        (drop_middle, 6, "expected sequence=5, found 6"),
        (drop_start, 1, "does not begin with a start line"),
        (other_version, 1, f"format={FORMAT_VERSION + 1} of a different release"),
    ],
)
def test_a_spoilt_file_is_damage_at_its_line(scenario, first_file, spoil, line, what):
    """Whatever is wrong inside a file is named with file and line, and never raised."""
    first_file.write_bytes(b"".join(spoil(first_file.read_bytes().splitlines(keepends=True))))
    damage = read_history(scenario).damage[0]
    assert (f"faulted/events/{first_file.name}", line) == (damage.path, damage.line)
    assert what in str(damage)


def test_a_file_that_cannot_be_read_is_damage(scenario):
    """A folder in a file's place is damage, and so is a pipe, which nobody waits for."""
    (scenario.events / "x.jsonl").mkdir()
    os.mkfifo(scenario.nodes / "y.jsonl")
    told = [str(damage) for damage in read_history(scenario).damage]
    assert {f"faulted/{name}.jsonl: cannot be read: not a regular file" for name in ("events/x", "nodes/y")} <= set(
        told
    )


def test_a_missing_file_is_damage_if_its_group_trained(scenario, first_file):
    """Ranks train in step, so a rank of a group that trained has written something."""
    first_file.unlink()
    assert [str(damage) for damage in read_history(scenario).damage] == [
        "faulted/events: nothing from rank 0 of incarnation 0, whose group trained"
    ]


def test_a_missing_file_is_no_damage_if_its_group_did_no_step(tmp_path):
    """A rank that was killed before its first line leaves no file."""
    job = Job()
    lives = [histories.Life(epochs=[], stop_after=0, fault=0), histories.Life(epochs=[], stop_after=0)]
    history = histories.evidence(job, [lives, histories.resumed(job, 0)], [histories.sigkill(0)]).faulted.history
    scenario = written(tmp_path, history)
    next(scenario.events.glob("i000-r0001-*")).unlink()
    assert read_history(scenario).damage == ()


def rank_ended(exit_code: int) -> RankEnded:
    return RankEnded(incarnation=1, rank=0, pid=1000, time_ns=1, exit_code=exit_code)


@pytest.fixture
def resumed_file(scenario):
    return next(scenario.events.glob("i001-r0000-*"))


@pytest.mark.parametrize(("exit_code", "is_damage"), [(0, True), (1, False), (-9, False)])
def test_a_rank_that_left_in_order_has_a_last_line(scenario, resumed_file, exit_code, is_damage):
    """Its node saw it: a line that is torn off there was not torn by a kill."""
    with (scenario.nodes / "node-0.jsonl").open("ab") as file:
        file.write(encode_node_line(rank_ended(exit_code)))
    whole = read_history(scenario)
    resumed_file.write_bytes(resumed_file.read_bytes()[:-1])
    cut = read_history(scenario)
    assert (whole.damage, bool(cut.damage)) == ((), is_damage)


def test_a_group_that_left_in_order_left_files(scenario, resumed_file):
    """Nothing at all from any of its ranks is no group that was killed before its first line."""
    (scenario.nodes / "node-1.jsonl").write_bytes(encode_node_line(rank_ended(0)))
    for file in scenario.events.iterdir():
        file.unlink()
    assert [str(damage) for damage in read_history(scenario).damage] == [
        "faulted/events: rank 0 of incarnation 1 left with exit code 0, and its last line is missing"
    ]


def test_a_fault_without_a_line_about_it_is_damage(scenario):
    """It left its mark, so a file is missing: one of an incarnation whose every file was deleted, for example."""
    (scenario.fired / "0").write_text("0")
    (scenario.fired / "0.done").touch()
    assert read_history(scenario).damage == ()
    for file in scenario.events.glob("i000-*"):
        file.unlink()
    assert [str(damage) for damage in read_history(scenario).damage] == [
        "faulted/fired/0: this fault fired, and no rank's evidence says so"
    ]


def test_two_files_of_one_rank_are_damage(scenario, first_file):
    """A rank of an incarnation is one process."""
    (scenario.events / "i000-r0000-2.jsonl").write_bytes(first_file.read_bytes())
    assert "rank 0 of incarnation 0 also wrote" in str(read_history(scenario).damage[0])


def test_a_rank_that_no_node_announced_is_damage(scenario, first_file):
    """A file needs a node's word for it."""
    start, *rest = first_file.read_bytes().splitlines(keepends=True)
    other = msgspec.structs.replace(msgspec.json.decode(start, type=Start), incarnation=7)
    (scenario.events / "i007-r0000-2.jsonl").write_bytes(b"".join([encode_line(other), *rest]))
    assert "no node announced this rank" in str(read_history(scenario).damage[0])


def test_a_rank_that_knows_another_number_of_ranks_than_its_node_is_damage(scenario, first_file):
    """Both were told by the same rendezvous."""
    start, *rest = first_file.read_bytes().splitlines(keepends=True)
    other = msgspec.structs.replace(msgspec.json.decode(start, type=Start), world_size=10**6)
    first_file.write_bytes(b"".join([encode_line(other), *rest]))
    file = first_file.relative_to(scenario.root.parent)
    assert [str(d) for d in read_history(scenario).damage] == [f"{file}:1: world_size=1000000, its node announced 2"]


def test_a_scenario_without_nodes_is_damage(scenario):
    """Without a node's words nobody knows which ranks there were."""
    (scenario.nodes / "node-0.jsonl").unlink()
    assert str(read_history(scenario).damage[0]) == "faulted/nodes: no node announced a worker group"


def test_a_missing_scenario_is_damage(tmp_path):
    """A run that was interrupted before a scenario began lacks its folder."""
    assert [str(damage) for damage in read_history(RunDir(root=tmp_path).scenario("reference-2")).damage] == [
        "reference-2: the scenario was not run"
    ]


@pytest.mark.parametrize("is_first", [True, False])
def test_an_attempt_that_left_nothing_takes_nothing_from_the_others(tmp_path: Path, *, is_first: bool) -> None:
    """It ended before any rank had begun, whichever of them it was."""
    whole = written(tmp_path / "whole", histories.one_kill().faulted.history)
    nothing = RunDir(root=tmp_path / "nothing").scenario("run")
    read = read_history(*((nothing, whole) if is_first else (whole, nothing)))
    assert (len(read.processes), read.damage) == (len(whole.event_files()), ())


def test_a_history_up_to_a_worker_group_knows_nothing_of_later_ones(scenario: ScenarioDir) -> None:
    """Nor how the nodes ended, which was later too. What a later group has not written yet is no damage."""
    whole = read_history(scenario)
    sorted(scenario.event_files(rank=1))[-1].unlink()
    first = read_history(scenario, until=0)
    assert (whole.incarnations, first.incarnations) == ((0, 1), (0,))
    assert [process.file for process in whole.group(0)] == [process.file for process in first.processes]
    assert (first.group(1), first.ends, first.damage) == ((), (), ())
