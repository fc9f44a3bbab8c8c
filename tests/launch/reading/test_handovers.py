"""Which save was read, as content and paths tell it."""

from __future__ import annotations

import msgspec
import pytest

from resumable.launch.evidence.fingerprints import Fingerprint
from resumable.launch.evidence.history import Process
from resumable.launch.evidence.rank_records import AnyRecord, Batch, Load, Rename, Save, Start, State, Step, Writer
from resumable.launch.reading.handovers import Handovers, handovers_of, saves_read
from resumable.launch.reading.saves import Content, saved_by
from resumable.launch.reading.steps import Steps
from resumable.launch.reading.trajectory import Trajectory
from tests.launch import histories
from tests.launch.histories import Job
from tests.launch.lines import started
from tests.launch.states import one, shard

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
        pytest.param([save(""), []], [load(""), []], "", [], id="objects that ranks send one another"),
        pytest.param([save("a", ONE), []], [load("", ONE), []], "", [("a", 0, 0)], id="read by way of memory"),
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


COUNT = one("step", num_elements=1)


def trajectory(*contents: Content, rank: int = 0, incarnation: int = 0, writer: Writer = "loop") -> Trajectory:
    """A process that saves each of these, one after another; of a later incarnation, that reads them."""
    start = started(rank=rank, world_size=2, incarnation=incarnation, pid=rank)
    state = State(sequence=0, time_ns=0, moment="save", components={})
    lines: list[Start | State | Save | Load | Step] = [start]
    for number, content in enumerate(contents):
        if incarnation:
            lines.append(Load(sequence=len(lines), time_ns=0, path="", fingerprints=dict(content)))
        else:
            path = f"{number}.pt"
            lines += [
                state,
                Save(
                    sequence=len(lines) + 1,
                    time_ns=0,
                    path=path,
                    phase="begin",
                    fingerprints=dict(content),
                    writer=writer,
                ),
            ]
    return Trajectory(
        process=Process(file="", start=start, records=tuple(lines)),
        steps=Steps(),
        unfinished=(),
        waiting=(),
        pass_ended=False,
        sampler_epoch=None,
        loaders={},
    )


def content(name: str) -> dict[str, Fingerprint]:
    return {"model": one("model", name), "optimizer": one("optimizer", name), "step": COUNT}


def read(*contents: Content, saved: tuple[Content, ...]) -> list[int]:
    """The steps of the saves that are found in what was read; the n-th was saved after n steps."""
    saves = [one for number, own in enumerate(saved) for one in saved_by(trajectory(own), number)]
    return [one.step for one in saves_read([trajectory(*contents, incarnation=1)], saves)]


A, B = content("a"), content("b")


@pytest.mark.parametrize(
    ("contents", "expected"),
    [
        pytest.param([B], [1], id="one"),
        pytest.param([A, B], [0, 1], id="two"),
        pytest.param([], [], id="none"),
        pytest.param([content("c")], [], id="of another job"),
        pytest.param([{**B, "optimizer": one("damaged", num_elements=16)}], [1], id="the larger part is damaged"),
        pytest.param([{**B, "step": one("another")}], [1], id="a counter is different"),
        pytest.param([{"model": one("model", "b")}], [1], id="a part"),
    ],
)
def test_what_was_read_is_found_by_its_content(contents, expected) -> None:
    """Whatever its path is."""
    assert read(*contents, saved=(A, B)) == expected


def test_the_same_content_is_of_all_saves_that_have_it() -> None:
    """Nothing was trained between them."""
    assert read(A, saved=(A, A)) == [0, 1]


def test_what_is_equal_in_every_save_tells_none_of_them() -> None:
    """Weights that nobody trains were there before the job: what else is read is of no save."""
    frozen = {"backbone": one("backbone", "frozen", num_elements=64)}
    saved = ({**A, **frozen}, {**B, **frozen})
    assert read({**content("c"), **frozen}, saved=saved) == []
    assert read({**B, **frozen}, saved=saved) == [1]


def test_shards_are_put_together_before_they_are_compared() -> None:
    """Two ranks save what three read."""
    whole = one("model")
    saves = [
        saved for rank in range(2) for saved in saved_by(trajectory({"model": shard(whole, rank, 2)}, rank=rank), 4)
    ]
    third = [Fingerprint(part=shard(whole, rank, 3).part, num_part=(4, 2, 2)[rank]) for rank in range(3)]
    group = [trajectory({"model": third[rank]}, rank=rank, incarnation=1) for rank in range(3)]
    assert saves == list(saves_read(group, saves))


def test_what_a_thread_writes_may_be_some_steps_old() -> None:
    """It was handed its state before it began to write."""
    [saved] = saved_by(trajectory(A, writer="thread"), 0)
    assert (saved.state, saved.earliest_step, saved.step) == (None, 0, 0)
    assert (saved,) == saves_read([trajectory(A, incarnation=1)], [saved])
