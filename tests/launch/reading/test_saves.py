from __future__ import annotations

import pytest

from resumable.launch.evidence.fingerprints import Fingerprint
from resumable.launch.evidence.history import Process
from resumable.launch.evidence.rank_records import Load, Save, Start, State, Step, Writer
from resumable.launch.reading.handovers import saves_read
from resumable.launch.reading.saves import Content, saved_by
from resumable.launch.reading.steps import Steps
from resumable.launch.reading.trajectory import Trajectory
from tests.launch.lines import started
from tests.launch.states import one, shard

STEP = one("step", num_elements=1)


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
    return {"model": one("model", name), "optimizer": one("optimizer", name), "step": STEP}


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
