from __future__ import annotations

import msgspec
import pytest

from resumable.launch.evidence.history import Process
from resumable.launch.evidence.node_records import RoundStarted
from resumable.launch.evidence.rank_records import AnyRecord, Exit, Step, Superseded
from resumable.launch.evidence.worker_groups import (
    ends_of,
    in_order,
    of_training,
    overlaps,
    overlaps_by_clock,
    with_numbers,
)
from tests.launch.lines import started


def life(number: int, group: str, *, time_unix: float = 0.0, world_size: int = 1) -> RoundStarted:
    return RoundStarted(
        incarnation=number,
        node=0,
        num_nodes=1,
        ranks=list(range(world_size)),
        world_size=world_size,
        time_ns=0,
        group=group,
        time_unix=time_unix,
    )


def process(group: str, *records: AnyRecord, rank: int = 0, incarnation: int = 9) -> Process:
    start = started(rank=rank, incarnation=incarnation, group=group)
    return Process(file=f"{group}-{rank}", start=start, records=(start, *records))


STEP = Step(sequence=1, time_ns=0, step=0)
EXIT = Exit(sequence=1, time_ns=0, reason="finished")


def numbers(*folders: list[RoundStarted]) -> dict[str, int]:
    return {round_.group: round_.incarnation for round_ in in_order(folders)}


def test_in_one_run_directory_the_numbers_that_were_taken_count() -> None:
    """No clock does: those of two hosts differ."""
    assert numbers([life(0, "a", time_unix=9.0), life(1, "b", time_unix=5.0)]) == {"a": 0, "b": 1}


def test_attempts_with_a_folder_each_come_in_the_order_of_their_clocks() -> None:
    """Each began at 0."""
    assert numbers([life(0, "late", time_unix=9.0)], [life(0, "early", time_unix=5.0)]) == {"early": 0, "late": 1}


def test_hosts_with_a_folder_each_have_one_group() -> None:
    """Only one of them has its rank 0."""
    assert numbers([life(0, "a")], []) == {"a": 0}


def test_a_process_has_the_number_of_its_group() -> None:
    """Whatever it took itself for when it began."""
    placed, orphans = with_numbers([process("b"), process("a", rank=1)], in_order([[life(0, "a"), life(1, "b")]]))
    assert ([p.incarnation for p in placed], orphans) == ([1, 0], [])


def test_a_group_that_trained_without_rank_0_is_missing_evidence() -> None:
    """One that never trained is none."""
    placed, orphans = with_numbers([process("x", STEP), process("y")], in_order([[life(0, "a")]]))
    assert (placed, [file for file, _ in orphans]) == ([], ["x-0"])


def test_a_job_has_ended_well_once_every_rank_of_its_last_group_has() -> None:
    """A rank that left nothing has not."""
    rounds = in_order([[life(0, "a", world_size=2)]])
    one, both = [process("a", EXIT, incarnation=0)], [process("a", EXIT, incarnation=0, rank=r) for r in (0, 1)]
    assert [ends_of(rounds, ended)[0].outcome for ended in (one, both)] == ["failed", "succeeded"]


def step(sequence: int) -> Step:
    return Step(sequence=sequence, time_ns=0, step=sequence)


SEEN = Superseded(sequence=2, time_ns=0, life=1)


def test_a_group_that_trains_on_beside_a_later_one_is_named() -> None:
    """The step in which it was when it saw that is none of those."""
    alive = process("a", step(1), SEEN, step(3))
    ended = process("b", step(1), SEEN, Exit(sequence=3, time_ns=0, reason="finished"))
    assert [(file, line) for file, line, _ in overlaps([alive, ended, process("c", step(1))])] == [("a-0", 4)]


def kept(*groups: tuple[AnyRecord, ...]) -> str:
    """Those of the groups a, b, ... that train; each is one process with these records."""
    names = "abcd"[: len(groups)]
    processes = [process(name, *records) for name, records in zip(names, groups, strict=True)]
    rounds = of_training([life(number, name) for number, name in enumerate(names)], processes)
    assert [round_.incarnation for round_ in rounds] == list(range(len(rounds)))
    return "".join(round_.group for round_ in rounds)


TRAINED = (STEP, Exit(sequence=2, time_ns=0, reason="finished", parameters="p"))
KILLED = (STEP,)
EVALUATED = (EXIT,)
NOTHING_LEFT = (Exit(sequence=1, time_ns=0, reason="finished", parameters="p"),)


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        pytest.param((TRAINED, EVALUATED), "a", id="behind training"),
        pytest.param((EVALUATED, TRAINED), "b", id="before training"),
        pytest.param((KILLED, TRAINED, EVALUATED), "ab", id="behind a restart"),
        pytest.param((KILLED, EVALUATED), "ab", id="instead of going on"),
        pytest.param((TRAINED, NOTHING_LEFT), "ab", id="with nothing left to train"),
        pytest.param((TRAINED, ()), "ab", id="killed before its first step"),
        pytest.param((EVALUATED,), "a", id="alone"),
    ],
)
def test_groups_that_only_evaluate_are_no_lives_of_the_job(
    groups: tuple[tuple[AnyRecord, ...], ...], expected: str
) -> None:
    """Unless one stands where training should have gone on."""
    assert kept(*groups) == expected


@pytest.mark.parametrize(
    ("last_step_s", "hosts", "num"),
    [
        pytest.param(9, ("x", "x"), 0, id="over before"),
        pytest.param(11, ("x", "x"), 1, id="beside"),
        pytest.param(11, ("x", "y"), 0, id="clocks of two machines"),
        pytest.param(71, ("x", "y"), 1, id="beside, on two machines"),
    ],
)
def test_groups_that_train_at_a_time_are_named_by_their_clocks(
    last_step_s: int, hosts: tuple[str, str], num: int
) -> None:
    """The later one began ten seconds after the earlier one."""
    rounds = [life(0, "a", time_unix=100.0), life(1, "b", time_unix=110.0)]
    own = Step(sequence=1, time_ns=last_step_s * 10**9, step=0)
    processes = [process("a", own), process("b", STEP)]
    processes = [
        msgspec.structs.replace(one, start=msgspec.structs.replace(one.start, host=host))
        for one, host in zip(processes, hosts, strict=True)
    ]
    assert len(overlaps_by_clock(rounds, processes)) == num
