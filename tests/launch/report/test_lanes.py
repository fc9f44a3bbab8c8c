from itertools import chain

import msgspec
import pytest

from resumable.launch.evidence.history import Process
from resumable.launch.evidence.rank_records import Step
from resumable.launch.reading.evidence import Evidence
from resumable.launch.reading.lives import Run
from resumable.launch.report.lanes import Lane, Track, states_of, track_of
from resumable.launch.report.samples import BatchNumbers, Samples
from tests.launch import histories
from tests.launch.histories import Job
from tests.launch.report import samples

JOB = Job(num_samples=64, batch_size=4)


def drawn(run: Run) -> tuple[Track, Samples]:
    numbers = BatchNumbers()
    return track_of(run, numbers.number_of, {0: "sigkill@step=4:rank=1"}), numbers.samples


def batches_of(lane: Lane, kept: Samples) -> list[list[int]]:
    """The samples of every batch of a lane, unpacked."""
    numbers = chain.from_iterable(range(first, first + num) for first, num in lane.numbers)
    return [list(kept.batches[number]) for number in numbers]


RUNS = {
    "one kill": samples.valid().faulted,
    "a skipped batch": samples.invalid().faulted,
    "the reference": samples.valid().references[0],
    "a number of ranks that changes": histories.evidence(
        JOB,
        [histories.killed(JOB, 5), histories.resized(JOB, Job(world_size=4, num_samples=64, batch_size=4), 4)],
        [histories.sigkill(4)],
        Job(world_size=4, num_samples=64, batch_size=4),
    ).faulted,
    "known by content alone": histories.of_histories(
        histories.without_indices(samples.valid().faulted.history),
        JOB,
        [histories.sigkill(4)],
        first=histories.without_indices(histories.reference(JOB)),
    ).faulted,
}
BY_NAME = pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)


@BY_NAME
def test_a_lane_holds_every_batch_of_its_process(run):
    """In order, with those that no step has come for."""
    track, kept = drawn(run)
    expected = [
        [list(batch.samples) for step in life.steps for batch in step.batches]
        + [list(batch.samples) for batch in (*life.unfinished, *life.waiting)]
        for life in run.lives
    ]
    assert expected == [batches_of(lane, kept) for lane in track.lanes]


@BY_NAME
def test_what_follows_one_another_adds_up(run):
    """Numbers, places, sizes and times are of the same batches and steps."""
    track, _ = drawn(run)
    for lane in track.lanes:
        num_batches = sum(num for _, num in lane.numbers)
        assert (num_batches, num_batches) == (sum(num for *_, num in lane.places), len(lane.received_us))
        num_in_steps = num_batches - lane.num_unfinished - lane.num_waiting
        assert num_in_steps == sum(size * num for size, num in lane.sizes)
        assert [lane.num_steps] * 3 == [sum(num for _, num in lane.sizes), len(lane.done_us), len(lane.losses)]


def test_equal_batches_have_one_number():
    """So that a page holds each once, and compares them by it."""
    evidence = samples.valid()
    numbers = BatchNumbers()
    track_of(evidence.references[0], numbers.number_of)
    num = len(numbers.samples.batches)
    track_of(evidence.faulted, numbers.number_of)
    assert num == len(numbers.samples.batches)


def test_a_page_that_is_full_says_how_much_is_missing():
    """The numbers stay, the samples are cut."""
    numbers = BatchNumbers(limit=6)
    track = track_of(samples.valid().references[0], numbers.number_of)
    kept = numbers.samples
    assert ([len(batch) for batch in kept.batches[:3]], {n: kept.sizes[n] for n in (1, 2)}) == ([4, 2, 0], {1: 4, 2: 4})
    assert sum(num for lane in track.lanes for _, num in lane.numbers) == len(kept.batches)


def test_a_kill_and_what_was_handed_on_are_marked():
    """The fault by its planned name, and a line from the save to each rank that read it."""
    track, _ = drawn(samples.valid().faulted)
    marks = [[(mark.kind, mark.step, mark.text) for mark in lane.marks] for lane in track.lanes]
    assert ("fault", 5, "sigkill@step=4:rank=1") in marks[1]
    ends = {(marks[link.save[0]][link.save[1]], marks[link.load[0]][link.load[1]]) for link in track.links}
    assert {(("save", 4, "ckpt/step-4.pt"), ("load", 4, "ckpt/step-4.pt"))} == ends
    assert [(link.save[0], link.load[0]) for link in track.links] == [(0, 2), (0, 3)]


def strays(evidence: Evidence) -> list[tuple[tuple[int, int], ...]]:
    track = track_of(evidence.faulted, BatchNumbers().number_of, states=states_of(evidence.references))
    return [lane.strays for lane in track.lanes]


def other_numbers() -> Evidence:
    """A job whose references agree in their batches and in no parameters."""
    second = histories.reference(JOB, 2)
    return histories.of_histories(
        samples.invalid().faulted.history,
        JOB,
        [histories.sigkill(4)],
        second=msgspec.structs.replace(second, processes=tuple(map(renumbered, second.processes))),
    )


def renumbered(process: Process) -> Process:
    records = [
        msgspec.structs.replace(record, after=f"{record.after}'") if isinstance(record, Step) else record
        for record in process.records
    ]
    return msgspec.structs.replace(process, records=tuple(records))


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        pytest.param(samples.valid(), [()] * 4, id="as it should be"),
        pytest.param(
            samples.invalid(), [(), (), ((0, 20),), ((0, 19),)], id="from the first wrong batch on, in all ranks"
        ),
        pytest.param(other_numbers(), [()] * 4, id="numbers that never repeat"),
        pytest.param(
            histories.evidence(
                JOB,
                [histories.killed(JOB, 5), histories.resized(JOB, Job(world_size=4, num_samples=64, batch_size=4), 4)],
                [histories.sigkill(4)],
                Job(world_size=4, num_samples=64, batch_size=4),
            ),
            [()] * 6,
            id="another number of ranks",
        ),
    ],
)
def test_steps_that_leave_other_parameters_stray(evidence, expected):
    """Where the references agree on them, and as many ranks train."""
    assert expected == strays(evidence)
