from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec
import pytest

from resumable.launch.evidence.history import History
from resumable.launch.evidence.rank_records import AnyRecord, Load, Rename, Save, State, Step
from resumable.launch.reading.group_states import start_state
from resumable.launch.reading.start_states import Start, starts_of
from tests.launch import histories
from tests.launch.changes import Change, changed, fields, same, together, without
from tests.launch.histories import Job, Life, path_of
from tests.launch.lines import with_records
from tests.launch.states import content_after, one, with_component, with_states

JOB = Job(num_samples=32)


unseen = without(Load)


without_state = without(State)


def run_of(groups: Sequence[Sequence[Life]], change: Change = same) -> History:
    """Groups of lives, one an incarnation, with what they saved; `change`: of all lines of all of them."""
    return changed(with_states(histories.evidence(JOB, groups, []).faulted.history), change)


def starts(history: History) -> tuple[Start, ...]:
    return starts_of(histories.of_histories(history, JOB, []).faulted)


def moments(history: History) -> list[tuple[int, tuple[int, int]]]:
    """Each process of the last group that went on, and from when."""
    found = starts(history)
    last = max(start.life.incarnation for start in found)
    return [(start.life.rank, start.moment) for start in found if start.life.incarnation == last]


def test_each_rank_starts_from_the_save_that_its_group_read() -> None:
    """Not from the newest one."""
    found = starts(run_of([histories.killed(JOB, 7), histories.resumed(JOB, 4)]))
    assert [(start.life.rank, start.moment, start.path) for start in found] == [
        (0, (0, 4), path_of(4)),
        (1, (0, 4), path_of(4)),
    ]
    assert [start.differing for start in found] == [{}, {}]


def test_the_save_of_a_rank_that_has_a_file_of_its_own_is_in_that_file() -> None:
    """As of the stages of a pipeline."""
    history = histories.evidence(JOB, [histories.killed(JOB, 5), histories.resumed(JOB, 4)], []).faulted.history
    saver, other, *rest = history.processes
    of_its_own = together(fields(Save, path="own/new"), fields(Rename, source="own/new", target="own/step.pt"))
    saving = with_records(other, [other.records[0], *map(of_its_own, saver.records[1:])])
    found = starts(with_states(msgspec.structs.replace(history, processes=(saver, saving, *rest))))
    assert [start.path for start in found] == [path_of(4), "own/step.pt"]


def test_who_begins_from_scratch_starts_from_no_save() -> None:
    """What comes before the first step is no state to be restored."""
    assert starts(run_of([histories.killed(JOB, 5), histories.resumed(JOB, 0)])) == ()


def test_of_a_rank_that_recorded_no_state_nothing_is_said() -> None:
    """Of the others it is."""
    history = run_of([histories.killed(JOB, 5), histories.resumed(JOB, 4)])
    assert moments(changed(history, without_state, incarnation=1, rank=1)) == [(0, (0, 4))]


@pytest.mark.parametrize("resume", [2, 4])
def test_of_several_saves_that_were_read_the_one_that_agrees_counts(resume: int) -> None:
    """A job may look at an older one, or at a newer one, and go on from the other."""
    history = run_of([histories.killed(JOB, 5), histories.resumed(JOB, resume)])
    reads = [
        Load(sequence=0, time_ns=0, path=path_of(step), fingerprints=content_after(JOB.state(step))) for step in (2, 4)
    ]
    processes = tuple(
        with_records(process, [process.records[0], *reads, *filter(unseen, process.records[1:])])
        if process.incarnation
        else process
        for process in history.processes
    )
    found = moments(msgspec.structs.replace(history, processes=processes))
    assert found == [(0, (0, resume)), (1, (0, resume))]


def test_what_was_read_tells_the_save_where_parameters_do_not() -> None:
    """They were not recorded before the first step."""
    history = run_of([histories.killed(JOB, 5), histories.resumed(JOB, 4)])
    assert moments(changed(history, fields(Step, before=None))) == [(0, (0, 4)), (1, (0, 4))]


def test_a_step_that_only_the_uninterrupted_run_did_is_of_no_save() -> None:
    """This run had never come so far."""
    assert starts(run_of([life_after(0, until=3), life_after(6)], unseen)) == ()


def test_a_process_that_read_a_save_did_not_start_from_a_later_step() -> None:
    """Whatever its parameters are."""
    history = run_of([life_after(0, until=7), life_after(5)])
    read = fields(Load, path=path_of(4), fingerprints=content_after(JOB.state(4)))
    assert moments(changed(history, read, incarnation=1)) == [(0, (0, 4)), (1, (0, 4))]


def without_component(component: str) -> Change:
    """What a process has before its first step does not tell of it."""

    def change(line: AnyRecord) -> AnyRecord:
        if not isinstance(line, State) or line.moment != "start":
            return line
        components = {name: own for name, own in line.components.items() if name != component}
        quick = {name: own for name, own in line.quick.items() if name != component}
        return msgspec.structs.replace(line, components=components, quick=quick)

    return change


def with_more(line: AnyRecord) -> AnyRecord:
    """Of each component something."""
    if not isinstance(line, State):
        return line
    more = {name: {"more": one(name)} for name in ("schedulers", "unsaved", "gradients")}
    return msgspec.structs.replace(line, components={**line.components, **more})


@pytest.mark.parametrize(
    ("lacking", "unknown"),
    [
        ("nothing", set()),
        ("buffers", {"buffers"}),
        ("unsaved", {"unsaved"}),
        ("random", {"scaler", "schedulers", "random", "gradients"}),
    ],
)
def test_what_the_lines_do_not_tell_of_is_neither_equal_nor_different(lacking: str, unknown: set[str]) -> None:
    """A process without any batch has not been seen before its first forward pass: there are no generators in its lines."""
    history = changed(run_of([histories.killed(JOB, 5), histories.resumed(JOB, 4)]), with_more)
    found = starts(changed(history, without_component(lacking), incarnation=1))[0]
    every = {"parameters", "optimizer", "buffers", "scaler", "gradients", "schedulers", "random", "unsaved"}
    assert (set(found.equal), dict(found.differing)) == (every - unknown, {})


@pytest.mark.parametrize("is_part", [True, False])
def test_what_no_optimizer_holds_yet_is_nothing_that_nobody_trains(*, is_part: bool) -> None:
    """The first step makes more of them, which hold it then."""

    def change(line: AnyRecord) -> AnyRecord:
        if not isinstance(line, State) or line.moment != "start":
            return line
        held = (
            {"layer.weight": line.components["parameters"]["layer.weight"]}
            if is_part
            else line.components["parameters"]
        )
        rest = {"layer.bias": one("waiting")}
        return with_component(with_component(line, "parameters", held), "untrained", rest)

    history = run_of([histories.killed(JOB, 5), histories.resumed(JOB, 4)])
    teacher = fields(State, components=lambda line: {**line.components, "untrained": {"teacher": one("teacher")}})
    found = starts(changed(changed(history, teacher), change, incarnation=1))
    assert set(found[0].differing) == (set() if is_part else {"untrained"})


@pytest.mark.parametrize("unknown", ["neither", "after steps", "before them"])
def test_what_is_spread_over_ranks_is_seen_where_either_tells(unknown: str) -> None:
    """What a rank holds after a step, or before its first one; an optimizer may have lost all it had."""
    history = histories.evidence(JOB, [histories.killed(JOB, 5), histories.resumed(JOB, 4)], []).faulted.history
    history = with_states(history, is_sharded=True)
    if unknown == "after steps":
        history = changed(history, fields(Step, components={}), incarnation=0)
    if unknown == "before them":
        history = changed(
            history,
            lambda line: with_component(line, "optimizer", {}) if isinstance(line, State) else line,
            incarnation=1,
        )
    assert [start.spread for start in starts(history)] == [frozenset({"parameters", "optimizer"})] * 2


def life_after(step: int, *, until: int | None = None) -> list[Life]:
    """A group that goes on after so many steps and is killed, or finishes."""
    stop = None if until is None else until - step
    return [replace(life, stop_after=stop) for life in histories.resumed(JOB, step)]


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        pytest.param([life_after(0, until=5), life_after(4)], (0, 4), id="of the only one"),
        pytest.param([life_after(0, until=7), life_after(4, until=7), life_after(6)], (1, 6), id="of the later one"),
        pytest.param([life_after(0, until=7), life_after(4, until=5), life_after(6)], (0, 6), id="of who came so far"),
        pytest.param([life_after(0, until=7), life_after(4, until=7), life_after(2)], (0, 2), id="of who began there"),
        pytest.param([life_after(0, until=5), life_after(4, until=7), life_after(4)], (1, 4), id="where one began"),
        pytest.param([life_after(0, until=5), life_after(4, until=6), life_after(6)], (1, 6), id="where one ended"),
        pytest.param([life_after(0, until=5), life_after(5, until=5), life_after(5)], (0, 5), id="of who trained"),
    ],
)
def test_where_nothing_was_seen_to_be_read_the_latest_life_with_these_parameters_had_them(groups, expected) -> None:
    """A checkpoint of a kind that nobody watches."""
    assert moments(run_of(groups, unseen)) == [(rank, expected) for rank in (0, 1)]


def test_ranks_that_went_on_from_different_steps_share_no_save() -> None:
    """That they are apart is another check's matter."""
    lives = [life_after(4)[0], life_after(2)[1]]
    assert starts(run_of([life_after(0, until=5), lives], unseen)) == ()


def test_what_a_process_had_is_told_before_its_first_step() -> None:
    """Not at a save, and not later."""
    [_, process] = run_of([histories.killed(JOB, 5)]).processes
    state = next(line for line in process.records if isinstance(line, State))
    other = with_component(state, "parameters", {"layer.weight": one("another")})
    saved = msgspec.structs.replace(other, moment="save")
    lines = [
        process.records[0],
        *process.records[1:2],
        state,
        saved,
        *filter(without_state, process.records[2:]),
        other,
    ]
    history = histories.history("faulted", [with_records(process, lines)])
    [life] = histories.of_histories(history, JOB, []).faulted.lives
    found = start_state(life)
    assert found is not None
    assert found.components == state.components
