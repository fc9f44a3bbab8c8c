import os
from pathlib import Path

import msgspec
import pytest

from resumable.launch.evidence.node_records import Sealed, encode_node_line
from resumable.launch.evidence.rank_records import AnyRecord, Exit, Step, StepCount, encode_line
from resumable.launch.evidence.run_dir import RunDir, ScenarioDir
from resumable.launch.reading.live_progress import RankProgress, RunProgress, num_steps_of
from tests.launch import histories
from tests.launch.histories import Job

JOB = Job()
NUM_STEPS = JOB.num_epochs * JOB.num_batches


@pytest.fixture
def scenario(tmp_path: Path) -> ScenarioDir:
    scenario = RunDir(root=tmp_path).scenario("faulted")
    scenario.create()
    return scenario


def counted(record: AnyRecord) -> AnyRecord:
    """A step of which the worker could tell where it stands."""
    if not isinstance(record, Step):
        return record
    done = record.step + 1  # in these histories steps are numbered since training began
    epoch, batches = divmod(done - 1, JOB.num_batches)
    place = StepCount(
        num_steps=done, num_batches=done, epoch=epoch, epoch_batches=batches + 1, epoch_length=JOB.num_batches
    )
    return msgspec.structs.replace(record, since_start=place)


def write(
    scenario: ScenarioDir, lives, incarnation: int, *, is_counted: bool = True, num_lines: int | None = None
) -> None:
    """What a group leaves, a line every 10 ms."""
    for process in histories.group(JOB, lives, incarnation=incarnation):
        records = [counted(record) if is_counted else record for record in process.records]
        lines = [encode_line(msgspec.structs.replace(r, time_ns=r.sequence * 10_000_000)) for r in records]
        (scenario.root.parent / process.file).write_bytes(b"".join(lines[:num_lines]))


def ranks_of(scenario: ScenarioDir) -> tuple[RankProgress, ...]:
    progress = RunProgress(scenario)
    progress.update()
    return progress.ranks


def test_a_rank_stands_where_its_newest_process_does(scenario):
    """Steps since training began, whoever did them."""
    write(scenario, histories.killed(JOB, 5), 0)
    write(scenario, histories.resumed(JOB, 4), 1, num_lines=8)
    [first, second] = ranks_of(scenario)
    assert [(r.rank, r.incarnation, r.doing) for r in (first, second)] == [(0, 1, "training"), (1, 1, "training")]
    assert first.place is not None
    assert (first.num_steps, first.place.epoch, first.place.epoch_batches) == (5, 1, 1)


def test_the_rate_is_that_of_the_last_steps(scenario):
    """And what is left follows from it, where the length of training is known."""
    write(scenario, histories.killed(JOB, 5, rank=-1), 0)
    [rank, _] = ranks_of(scenario)
    apart_s = 0.03  # a batch, a backward pass and a step
    assert rank.steps_per_s == pytest.approx(1 / apart_s, rel=0.5)
    assert rank.left_s(NUM_STEPS) == pytest.approx((NUM_STEPS - 5) / (rank.steps_per_s or 0))
    assert rank.left_s(None) is None


@pytest.mark.parametrize(
    ("lives", "lines", "expected"),
    [
        pytest.param(histories.killed(JOB, 5), 1, ("starting", "starting"), id="just started"),
        pytest.param(histories.killed(JOB, 5), 5, ("training", "training"), id="some lines"),
        pytest.param(histories.killed(JOB, 5), None, ("training", "hit"), id="a fault"),
        pytest.param(histories.killed(JOB, NUM_STEPS, rank=-1), None, ("training", "training"), id="all its steps"),
        pytest.param(histories.resumed(JOB, 0), None, ("finished", "finished"), id="the end"),
    ],
)
def test_what_a_rank_does(scenario, lives, lines, expected):
    """By its last lines."""
    write(scenario, lives, 0, num_lines=lines)
    assert expected == tuple(rank.doing for rank in ranks_of(scenario))


def test_a_process_that_fails_says_why(scenario):
    """Its message, as it left it."""
    write(scenario, histories.killed(JOB, 2, rank=-1), 0)
    [path, _] = scenario.event_files()
    ending = Exit(sequence=99, time_ns=0, reason="exception", code=1, message="KeyError: 'x'")
    with path.open("ab") as file:
        file.write(encode_line(ending))
    assert (ranks_of(scenario)[0].doing, ranks_of(scenario)[0].message) == ("failed", "KeyError: 'x'")


def test_steps_of_a_process_alone_are_told_as_such(scenario):
    """After a restart of which nobody can tell where it went on, nothing is left to be computed."""
    write(scenario, histories.resumed(JOB, 4), 1, is_counted=False, num_lines=20)
    [rank, _] = ranks_of(scenario)
    assert (rank.is_whole, rank.left_s(NUM_STEPS)) == (False, None)


def test_of_a_rank_that_is_silent_nothing_is_foretold(scenario):
    """Its rate was that of a time that is over."""
    write(scenario, histories.killed(JOB, 5, rank=-1), 0)
    for path in scenario.event_files():
        os.utime(path, (0, 0))
    [rank, _] = ranks_of(scenario)
    assert (rank.is_stalled, rank.left_s(NUM_STEPS)) == (True, None)


def test_ranks_that_a_smaller_group_lacks_are_gone(scenario):
    """They will not come to their end."""
    write(scenario, histories.killed(JOB, 5), 0)
    smaller = histories.group(JOB, histories.resumed(JOB, 4), incarnation=1)[0]
    start = msgspec.structs.replace(smaller.start, world_size=1)
    (scenario.root.parent / smaller.file).write_bytes(encode_line(start))
    assert [rank.rank for rank in ranks_of(scenario)] == [0]


def test_a_reference_that_is_over_says_how_long_training_is(scenario):
    """One that is not says nothing."""
    write(scenario, histories.killed(JOB, 5, rank=-1), 0)
    progress = RunProgress(scenario)
    progress.update()
    before = num_steps_of(progress)
    write(scenario, histories.resumed(JOB, 0), 0)
    progress = RunProgress(scenario)
    progress.update()
    assert (before, num_steps_of(progress)) == (None, NUM_STEPS)


def test_a_run_is_over_once_it_is_sealed(scenario):
    """Nobody writes afterwards."""
    progress = RunProgress(scenario)
    progress.update()
    before = progress.is_over
    scenario.supervisor_file.write_bytes(encode_node_line(Sealed(plan="", links={}, time_ns=0)))
    progress.update()
    assert (before, progress.is_over) == (False, True)


@pytest.mark.parametrize("line", [b"{}\n", b"\xff\n", b"[" * 10_000 + b"\n"])
def test_damage_ends_what_is_shown_of_a_file(scenario, line):
    """What came before it stands."""
    write(scenario, histories.killed(JOB, 5, rank=-1), 0)
    with scenario.event_files()[0].open("ab") as file:
        file.write(line)
    assert [rank.num_steps for rank in ranks_of(scenario)] == [5, 5]
