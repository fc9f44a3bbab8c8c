import msgspec
import pytest

from resumable.launch.evidence.fingerprints import Fingerprint
from resumable.launch.evidence.rank_records import AnyRecord, Batch, Load, Rename, Save, Step
from resumable.launch.reading.handovers import Handovers, handovers_of
from tests.launch import histories
from tests.launch.histories import Job

JOB = Job()
STEP = (
    Batch(sequence=0, time_ns=0, loader=0, epoch=9, batch=0, indices=[1]),
    Step(sequence=0, time_ns=0, step=9),
)
ONE, TWO = ({"model": Fingerprint(whole=digits, num_whole=8)} for digits in ("1" * 16, "2" * 16))


def save(path: str, content: dict[str, Fingerprint] | None = None, *phases: str) -> list[AnyRecord]:
    return [
        Save(
            sequence=0, time_ns=0, path=path, phase=phase, fingerprints=content if content and phase == "begin" else {}
        )
        for phase in phases or ("begin", "end")
    ]


def rename(source: str, target: str) -> list[AnyRecord]:
    return [Rename(sequence=0, time_ns=0, source=source, target=target)]


def load(path: str, content: dict[str, Fingerprint] | None = None) -> list[AnyRecord]:
    return [Load(sequence=0, time_ns=0, path=path, fingerprints=content or {})]


def run(first: list[list[AnyRecord]], second: list[list[AnyRecord]]) -> Handovers:
    """Two incarnations of two ranks that leave these lines, the second a second later; a line takes a millisecond."""
    lives = [histories.killed(JOB, 5), histories.resumed(JOB, 4)]
    processes = [
        histories.with_lines(process, lines)
        for number, (group, extra) in enumerate(zip(lives, (first, second), strict=True))
        for process, lines in zip(histories.group(JOB, group, incarnation=number), extra, strict=True)
    ]
    timed = [
        msgspec.structs.replace(
            process,
            records=tuple(
                msgspec.structs.replace(r, time_ns=process.incarnation * 10**9 + r.sequence * 10**6)
                for r in process.records
            ),
        )
        for process in processes
    ]
    return handovers_of(
        histories.of_histories(histories.history("faulted", timed), JOB, [histories.sigkill(4)]).faulted
    )


def sources(handovers: Handovers, path: str) -> list[tuple[str, int, int] | None]:
    """Where each read of a path came from: path, incarnation and rank of who wrote it."""
    found = [one.source for one in handovers.read if one.path == path]
    return [one and (one.path, one.incarnation, one.rank) for one in found]


@pytest.mark.parametrize(
    ("first", "second", "path", "expected"),
    [
        pytest.param([save("a"), []], [load("a"), load("a")], "a", [("a", 0, 0)] * 2, id="one saves for all"),
        pytest.param([save("t") + rename("t", "a"), []], [load("a"), []], "a", [("a", 0, 0)], id="renamed"),
        pytest.param(
            [save("a/0"), save("a/1")], [load("a"), load("a")], "a", [("a/0", 0, 0), ("a/1", 0, 1)], id="a folder"
        ),
        pytest.param([save("a"), []], [save("a") + load("a"), []], "a", [("a", 1, 0)], id="written again by itself"),
        pytest.param([[], []], [load("a") + save("a"), []], "a", [None], id="written later"),
        pytest.param([save("a"), []], [load("b"), []], "b", [None], id="of another job"),
        pytest.param([save("a", None, "begin"), []], [load("a"), []], "a", [None], id="never finished"),
        pytest.param([save("a", ONE), []], [load("b", ONE), []], "b", [("a", 0, 0)], id="a copy with equal content"),
        pytest.param(
            [save("a", ONE) + save("b", TWO), []],
            [load("link", ONE), []],
            "link",
            [("a", 0, 0)],
            id="content, not time",
        ),
        pytest.param([save("a", ONE), []], [load("a", TWO), []], "a", [("a", 0, 0)], id="damaged, under its path"),
        pytest.param([save(""), []], [load(""), []], "", [None], id="buffers without a name"),
    ],
)
def test_a_read_is_of_what_was_written(first, second, path, expected):
    """Equal content tells it, else the path; a process may also read what it wrote itself."""
    assert expected == sources(run(first, second), path)


def test_steps_count_since_training_began():
    """Of a save those done when it was begun; of a load those that its process builds on and has done."""
    handovers = run([[*save("a"), *STEP], []], [load("a"), []])
    [written] = [one for one in handovers.written if one.path == "a"]
    [read] = [one for one in handovers.read if one.path == "a"]
    assert (5, JOB.num_epochs * JOB.num_batches) == (written.own_step, read.step)


@pytest.mark.parametrize(("second", "expected"), [([load("log"), []], ["log"]), ([[], []], [])])
def test_a_file_that_nobody_saw_written_counts_once_it_is_read(second, expected):
    """A log is renamed too."""
    handovers = run([rename("x", "log"), []], second)
    assert expected == [one.path for one in handovers.written if one.path == "log"]
