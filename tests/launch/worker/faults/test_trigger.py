from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from resumable.launch.evidence.rank_records import AnyRecord, FaultRefused
from tests.launch.worker.stage import Stage, loaded, loader, placed_in, renamed, saved, trained

STORY: dict[str, AnyRecord] = {
    "loader": loader(),
    **dict(zip(("batch 0", "backward 0", "step 0"), trained(0), strict=True)),
    **dict(zip(("begin 0", "end 0"), saved("t"), strict=True)),
    "rename 0": renamed("t", "a"),
    **dict(zip(("batch 1", "backward 1", "step 1"), trained(1), strict=True)),
    **dict(zip(("begin 1", "end 1"), saved("b"), strict=True)),
    "load 0": loaded("a"),
    **dict(zip(("batch 2", "backward 2", "step 2"), trained(2), strict=True)),
    "load 1": loaded("b"),
    **dict(zip(("begin 2", "end 2"), saved("c"), strict=True)),
    **dict(zip(("begin 3", "end 3"), saved("d"), strict=True)),
    "rename 3": renamed("d", "e"),
}
"""Two batches an epoch. The first save is renamed into place, the second is not, the third is followed by a fourth."""
LABELS = list(STORY)
LINK, OUTSIDE = "it is a link", "it is not the run's own"
LATER = [loader(), *trained(1), *saved("b"), *trained(2)]


def fired_upon(root: Path, when: str, *, rank: int = 0) -> list[str]:
    stage = Stage(root, f"sigkill@{when}:rank={rank}")
    return [LABELS[number] for number in stage.show(*STORY.values())]


@pytest.mark.parametrize(
    ("when", "label"),
    [
        ("batch=0", "batch 0"),
        ("batch=2", "batch 2"),
        ("step=0", "step 0"),
        ("step=2", "step 2"),
        ("epoch=0,batch=1", "batch 1"),
        ("epoch=1,batch=0", "batch 2"),
        ("save#0+before", "begin 0"),
        ("save#3+before", "begin 3"),
        ("save#0", "rename 0"),
        ("save#0+after", "rename 0"),
        ("save#1+after", "load 0"),
        ("save#2+after", "begin 3"),
        ("save#3+after", "rename 3"),
        ("load#0", "load 0"),
        ("load#1", "load 1"),
    ],
)
def test_a_fault_fires_upon_one_event(tmp_path: Path, when: str, label: str) -> None:
    """Once, at its moment; after a save is the rename that follows, or else whatever comes next."""
    assert [label] == fired_upon(tmp_path, when)


@pytest.mark.parametrize(
    "when", ["batch=3", "step=3", "epoch=1,batch=1", "save#4", "save#1+during", "load#2", "resume+0", "resume+1"]
)
def test_a_fault_whose_moment_does_not_come_never_fires(tmp_path: Path, when: str) -> None:
    """Neither before nor instead; what happens during a save is up to the watch of the save."""
    assert fired_upon(tmp_path, when) == []


@pytest.mark.parametrize("when", ["step=0", "batch=0", "save#0+before", "save#0+after", "load#0"])
def test_two_faults_of_one_moment_fire_once_each(tmp_path: Path, when: str) -> None:
    """The record of the first is no event at which the second is due again."""
    stage = Stage(tmp_path, f"sigterm@{when}:rank=0", f"loaderkill@{when}:rank=0", loader_workers=(71,))
    stage.show(*STORY.values())
    assert [fault.kind for fault in stage.performed.faults] == ["sigterm", "loaderkill"]


@pytest.mark.parametrize(("when", "positions"), [("save#0", [4]), ("save#1", [6])])
def test_a_save_in_the_background_may_end_when_the_next_has_begun(
    tmp_path: Path, when: str, positions: list[int]
) -> None:
    """A fault after it knows which of them has ended."""
    events = [*saved("a", "begin"), *saved("b", "begin"), loaded("z"), *saved("a", "end"), loaded("z")]
    stage = Stage(tmp_path, f"sigkill@{when}:rank=0")
    assert positions == stage.show(*events, *saved("b", "end"), loaded("z"))


def test_a_fault_of_another_rank_never_fires(tmp_path: Path) -> None:
    """Every rank knows the whole plan and does its own part."""
    assert fired_upon(tmp_path, "step=1", rank=1) == []


@pytest.mark.parametrize(("rank", "positions"), [(0, [3]), (1, [])])
def test_a_fault_of_a_node_is_let_happen_by_its_first_rank(tmp_path: Path, rank: int, positions: list[int]) -> None:
    """It waits there until the supervisor has acted, and does nothing itself."""
    stage = Stage(tmp_path, "preempt@step=0:node=0", rank=rank)
    assert positions == stage.show(loader(), *trained(0))
    assert (stage.performed.awaited, stage.performed.faults) == (["0.done"] * len(positions), [])


def test_a_rank_listens_for_the_notice_of_a_preemption_before_its_mark_brings_it(tmp_path: Path) -> None:
    """The supervisor acts as soon as it sees the mark."""
    stage = Stage(tmp_path, "preempt@step=0:node=0")
    stage.show(loader(), *trained(0))
    assert (stage.performed.listening, stage.has_mark()) == ([False], True)


def test_what_was_counted_before_a_restart_counts_on(tmp_path: Path) -> None:
    """Two saves and a load were begun in earlier lives: the next are number 2 and number 1."""
    earlier = [[*saved("a"), *saved("b", "begin")], [loaded("a")]]
    stage = Stage(tmp_path, "sigkill@save#2:rank=0", "sigkill@load#1:rank=0", incarnation=2, earlier=earlier)
    assert stage.show(loaded("a"), *trained(0), *saved("c"), renamed("c", "d")) == [0, 6]


@pytest.mark.parametrize(("when", "positions"), [("resume+0", [1]), ("resume+1", [3]), ("resume+2", [8])])
def test_steps_since_a_restart_count_from_the_latest(tmp_path: Path, when: str, positions: list[int]) -> None:
    """With none done, it is upon the first batch."""
    stage = Stage(tmp_path, f"sigkill@{when}:rank=0", incarnation=1, earlier=[trained(0)])
    stage.position.resume_at("1")
    shifted = [LATER[0], *trained(0), *LATER[4:6], *trained(1)]
    assert positions == stage.show(*shifted)


def test_a_batch_is_counted_on_once_it_is_known_where_the_rank_resumed(tmp_path: Path) -> None:
    """Its parameters are those after step 0, so that its first batch is number 1."""
    stage = Stage(tmp_path, "sigkill@batch=2:rank=0", incarnation=1, earlier=[trained(0)])
    stage.position.resume_at("1")
    assert stage.show(*LATER) == [6]


def test_a_fault_that_has_fired_does_so_in_no_later_life(tmp_path: Path) -> None:
    """Its mark lasts longer than the rank."""
    fault = "sigkill@step=1:rank=0"
    killed = Stage(tmp_path, fault)
    assert killed.show(*trained(0), *trained(1)) == [5]
    assert killed.has_mark()
    assert Stage(tmp_path, fault, incarnation=1, earlier=[trained(0)]).show(*trained(1)) == []


def test_a_fault_during_a_save_is_offered_while_that_save_is_being_written(tmp_path: Path) -> None:
    """Half of the bytes are out when it is let happen; before and afterwards there is none."""
    stage = Stage(tmp_path, "diskfull@save#1:rank=0")
    stage.show(*saved("a"))
    assert stage.trigger.fault_during_save() is None
    stage.show(*saved("b", "begin"))
    fault = stage.trigger.fault_during_save()
    assert fault is not None
    stage.trigger.fire_during_save(fault, "b")
    assert [(record.kind, record.path) for record in stage.fired] == [("diskfull", "b")]
    assert stage.trigger.fault_during_save() is None


@pytest.mark.parametrize("kind", ["torn", "corrupt"])
@pytest.mark.parametrize(
    ("events", "present", "name"),
    [
        pytest.param([*saved("a"), *saved("b")], ["a", "b"], "b", id="the newest"),
        pytest.param([*saved("t"), renamed("t", "a")], ["a"], "a", id="under its last name"),
        pytest.param([*saved(""), renamed("t", "a")], ["a"], "a", id="a buffer, written by other means"),
        pytest.param([renamed("t", "a")], ["a"], "a", id="renamed, and nobody saw it written"),
        pytest.param([*saved("a"), *saved("b")], ["a"], "a", id="one that has been removed is passed over"),
        pytest.param([*saved("a"), *saved("b", "begin")], ["a", "b"], "a", id="one begun only is no checkpoint"),
    ],
)
def test_damage_is_done_to_the_newest_checkpoint_that_is_there(
    tmp_path: Path, kind: str, events: list[AnyRecord], present: list[str], name: str
) -> None:
    """The record names the file before it is damaged, and the rank is killed after."""
    placed = [placed_in(tmp_path, event) for event in events]
    for file in present:
        (tmp_path / file).touch()
    stage = Stage(tmp_path, f"{kind}@step=0:rank=0")
    stage.show(*placed, *trained(0))
    assert [(record.path, record.kind) for record in stage.fired] == [(str(tmp_path / name), kind)]
    assert (stage.performed.damaged, [fault.kind for fault in stage.performed.faults]) == ([name], [kind])


@pytest.mark.parametrize(
    ("events", "name", "refused"),
    [
        pytest.param(
            [*saved("a"), *saved("../outside/b")], "a", [("b", OUTSIDE)], id="a file outside the run's folders"
        ),
        pytest.param([*saved("a"), *saved("folder/b")], "a", [("b", OUTSIDE)], id="a file behind a link to a folder"),
        pytest.param([*saved("link")], None, [("link", LINK)], id="a link to a file outside"),
        pytest.param([*saved("a"), *saved("near")], "a", [("near", LINK)], id="a link to a file of the run"),
        pytest.param([*saved("a"), renamed("t", "link")], "a", [], id="a link that was only renamed"),
        pytest.param([*saved("a"), renamed("t", "given")], "a", [], id="a file that was only renamed"),
        pytest.param(
            [*saved("../outside/b"), renamed("t", "link")],
            None,
            [("b", OUTSIDE), ("link", LINK)],
            id="nothing else",
        ),
    ],
)
def test_what_is_not_the_runs_own_is_never_damaged(
    tmp_path: Path, events: list[AnyRecord], name: str | None, refused: list[tuple[str, str]]
) -> None:
    """Whatever links lead to it; the newest file of the run's own is taken in its place, or none. It is named, and why."""
    run, outside = tmp_path / "run", tmp_path / "outside"
    for folder in (run, outside):
        folder.mkdir()
    for file in (run / "a", run / "given", outside / "b"):
        file.touch()
    (run / "folder").symlink_to(outside)
    (run / "link").symlink_to(outside / "b")
    (run / "near").symlink_to(run / "given")
    stage = Stage(run, "torn@step=0:rank=0")
    stage.show(*(placed_in(run, event) for event in events), *trained(0))
    assert stage.performed.damaged == ([name] if name else [])
    told = [(Path(record.path).name, record.why) for record in stage.listener.of(FaultRefused)]
    assert (refused, [0] * len(refused)) == (told, [record.fault for record in stage.listener.of(FaultRefused)])


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("events", [saved("a"), [*saved("t"), renamed("t", "a")]])
def test_damage_to_a_folder_is_done_to_what_the_rank_wrote_into_it(
    tmp_path: Path, rank: int, events: list[AnyRecord]
) -> None:
    """The record names that file, whatever the folder was called before."""
    (tmp_path / "a").mkdir()
    for name in (".metadata", "__0_0.distcp", "__1_0.distcp"):
        (tmp_path / "a" / name).write_bytes(b"data")
    stage = Stage(tmp_path, f"torn@step=0:rank={rank}", rank=rank)
    stage.show(*(placed_in(tmp_path, event) for event in events), *trained(0))
    assert [record.path for record in stage.fired] == [str(tmp_path / "a" / f"__{rank}_0.distcp")]


def test_damage_is_done_to_a_checkpoint_of_an_earlier_life(tmp_path: Path) -> None:
    """Where this one has written none yet."""
    (tmp_path / "a").touch()
    stage = Stage(tmp_path, "torn@load#0:rank=0", incarnation=1, earlier=[saved(str(tmp_path / "a"))])
    stage.show(loaded("a"))
    assert stage.performed.damaged == ["a"]


@pytest.mark.parametrize("fault", ["torn@step=0:rank=0", "corrupt@step=0:rank=0", "loaderkill@step=0:rank=0"])
def test_a_fault_that_finds_nothing_to_act_on_stays_undone(tmp_path: Path, fault: str) -> None:
    """No record and no mark: the missing evidence tells that nothing happened."""
    stage = Stage(tmp_path, fault)
    assert stage.show(*trained(0), *saved(str(tmp_path / "gone")), *trained(1)) == []
    assert (stage.has_mark(), stage.performed.faults) == (False, [])


def test_one_loader_worker_is_killed_and_named(tmp_path: Path) -> None:
    """The first of those that there are."""
    stage = Stage(tmp_path, "loaderkill@step=0:rank=0", loader_workers=(71, 72))
    stage.show(*trained(0))
    assert ([record.pid for record in stage.fired], stage.performed.loader_workers) == ([71], [71])


def test_those_that_die_at_one_moment_wait_for_each_other(tmp_path: Path) -> None:
    """Rank 0 acts only when rank 1 has come to the same moment: else the agent would end rank 1 before it."""
    seen: list[tuple[bool, int]] = []

    def rank_1_comes(have_fired: Callable[[], bool]) -> None:
        seen.append((have_fired(), len(first.performed.faults)))
        second.show(*trained(0))
        seen.append((have_fired(), len(first.performed.faults)))

    first, second = (
        Stage(tmp_path, "sigkill@step=0:rank=all", rank=rank, await_companions=wait)
        for rank, wait in enumerate((rank_1_comes, lambda have_fired: seen.append((have_fired(), 0))))
    )
    first.show(*trained(0))
    assert seen == [(False, 0), (True, 0), (True, 0)]
    assert [len(stage.performed.faults) for stage in (first, second)] == [1, 1]


@pytest.mark.parametrize("other", ["sigkill@step=0:rank=7", "sigkill@step=1:rank=1", "torn@step=0:rank=0"])
def test_nobody_waits_for_a_rank_that_does_not_exist_or_dies_later_or_for_itself(tmp_path: Path, other: str) -> None:
    """Only faults of other existing ranks at the very same moment are companions."""
    have_all_fired: list[bool] = []
    words = ("sigkill@step=0:rank=0", other)
    Stage(tmp_path, *words, await_companions=lambda check: have_all_fired.append(check())).show(*trained(0))
    assert have_all_fired[:1] == [True]
