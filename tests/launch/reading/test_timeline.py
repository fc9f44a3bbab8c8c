from dataclasses import replace

import msgspec
import pytest

from resumable.launch.evidence.history import Process
from resumable.launch.evidence.loop_profile import LoopProfile
from resumable.launch.evidence.rank_records import (
    AnyRecord,
    Backward,
    Batch,
    EpochBegin,
    EpochEnd,
    Load,
    Loader,
    Save,
    Step,
)
from resumable.launch.reading.lives import Run, Timeline
from resumable.launch.reading.timeline import assemble
from tests.launch import histories, states
from tests.launch.changes import changed, fields
from tests.launch.histories import Job, Life
from tests.launch.lines import with_records

JOB = Job(num_samples=16, num_epochs=3)


def run_of(*groups: list[Life]) -> Run:
    return histories.evidence(JOB, groups, []).faulted


def indices(timeline: Timeline) -> list[list[int]]:
    return [list(batch.indices) for step in timeline.steps for batch in step.batches]


def uninterrupted(rank: int) -> list[list[int]]:
    return [batch for epoch in range(JOB.num_epochs) for batch in JOB.epoch(rank, epoch)]


def test_a_right_resume_gives_the_uninterrupted_trajectory():
    """Cut back to each resume point and carried on, a rank's lives are the uninterrupted run."""
    run = run_of(
        histories.killed(JOB, 5),
        histories.killed(JOB, 7, base=4),
        histories.killed(JOB, 9, base=6),
        histories.resumed(JOB, 8),
    )
    assert [uninterrupted(0), uninterrupted(1)] == [indices(timeline) for timeline in run.timelines]


def test_epochs_count_since_training_began():
    """A process that resumes in epoch 1 trains in epoch 1 first, though it is the first pass of its own."""
    run = run_of(histories.killed(JOB, 6), histories.resumed(JOB, 6))
    assert [batch.epoch for step in run.timelines[0].steps for batch in step.batches] == [0] * 4 + [1] * 4 + [2] * 4


def test_a_resume_at_an_epochs_border_begins_the_next_epoch():
    """After the last batch of an epoch comes the first of the next."""
    run = run_of(histories.killed(JOB, 5), histories.resumed(JOB, 4))
    assert run.timelines[0].lives[1].steps[0].batches[0].epoch == 1


def test_without_a_reference_the_end_of_a_pass_shows_the_border():
    """`resumable run` knows epochs only from the processes themselves."""
    history = histories.evidence(JOB, [histories.killed(JOB, 5), histories.resumed(JOB, 4)], []).faulted.history
    run = assemble(history, LoopProfile())
    assert [batch.epoch for step in run.timelines[1].steps for batch in step.batches] == [0] * 4 + [1] * 4 + [2] * 4


def test_who_finds_nothing_left_to_train_cuts_off_what_its_save_did_not_have():
    """It reads the save of 8 steps where 11 were done, takes all for trained, and ends well."""

    reading = fields(Load, fingerprints=states.content_after(JOB.state(8)))
    ended = [Life(epochs=[], base=8, loads=histories.path_of(8)) for _ in range(2)]
    history = states.with_states(histories.evidence(JOB, [histories.killed(JOB, 11), ended], []).faulted.history)
    history = changed(history, reading, incarnation=1)
    run = histories.of_histories(history, JOB, []).faulted
    assert [uninterrupted(rank)[:8] for rank in (0, 1)] == [indices(timeline) for timeline in run.timelines]


def searched_first(process: Process, *beside: AnyRecord) -> Process:
    """It trains two batches of its own, as the job began, and does this, before it loads its checkpoint."""
    own = histories.process(JOB, Life(epochs=[JOB.epoch(1, 2)[:2]]), rank=process.rank, incarnation=1)
    search = [line for line in own.records if isinstance(line, Loader | Batch | Backward | Step)]
    second = fields(Loader | EpochBegin | Batch | EpochEnd, loader=1)
    return with_records(process, [process.records[0], *beside, *search, *map(second, process.records[1:])])


OWN_SAVE = [Save(sequence=0, time_ns=0, path="own.pt", phase=phase) for phase in ("begin", "end")]


@pytest.mark.parametrize(
    ("beside", "first_step"), [((), 4), (OWN_SAVE, 0)], ids=["nothing was saved", "it has saved, and goes back"]
)
def test_what_is_trained_before_a_checkpoint_is_loaded_counts_for_nothing(beside, first_step):
    """As where each start looks for a learning rate. Who has saved before has begun from scratch."""
    groups = [histories.killed(JOB, 5), histories.resumed(JOB, 4)]
    history = states.with_states(histories.evidence(JOB, groups, []).faulted.history)
    history = changed(history, fields(Load, fingerprints=states.content_after(JOB.state(4))), incarnation=1)
    processes = [searched_first(one, *beside) if one.incarnation else one for one in history.processes]
    run = histories.of_histories(msgspec.structs.replace(history, processes=tuple(processes)), JOB, []).faulted
    assert [life.first_step for life in run.lives if life.incarnation] == [first_step] * 2
    right = [indices(timeline) == uninterrupted(timeline.rank) for timeline in run.timelines]
    assert right == [first_step == 4] * 2


def test_a_process_that_dies_before_its_first_step_changes_nothing():
    """A rank may die right after a restart; the next restart goes on from the same checkpoint."""
    run = run_of(histories.killed(JOB, 5), histories.killed(JOB, 4, base=4), histories.resumed(JOB, 4))
    assert [timeline.lives[1].resume for timeline in run.timelines] == [None, None]
    assert uninterrupted(1) == indices(run.timelines[1])


def test_a_step_that_only_another_rank_could_note_counts():
    """Rank 0 may save a step whose line rank 1 was killed before writing; rank 1's open batch was trained on then."""
    first = histories.group(JOB, histories.killed(JOB, 6), incarnation=0)
    history = histories.history(
        "faulted",
        [
            first[0],
            cut_before_last_step(first[1]),
            *histories.group(JOB, histories.resumed(JOB, 6), incarnation=1),
        ],
    )
    run = histories.of_histories(history, JOB, []).faulted
    assert uninterrupted(1) == indices(run.timelines[1])


def cut_before_last_step(process):
    """Without the last optimizer step and what followed."""
    return msgspec.structs.replace(process, records=process.records[:-2])


def test_steps_cut_off_are_not_kept():
    """A life keeps the steps before the resume point of the next."""
    run = run_of(histories.killed(JOB, 7), histories.resumed(JOB, 4))
    assert [(life.num_kept, len(life.steps)) for life in run.timelines[0].lives] == [(4, 7), (8, 8)]


def test_a_rank_that_is_gone_is_cut_off_with_the_others():
    """After a restart with fewer ranks, a vanished rank's steps beyond the resume point do not count."""
    four = replace(JOB, world_size=4, num_samples=32)
    two = replace(four, world_size=2)
    groups = [histories.killed(four, 3), histories.resized(four, two, 2)]
    run = histories.evidence(four, groups, [], two).faulted
    assert [timeline.lives[0].num_kept for timeline in run.timelines] == [2, 2, 2, 2]


def test_each_rank_is_cut_off_at_its_own_resume_point():
    """Ranks that do not agree keep what they built on themselves."""
    run = run_of(histories.killed(JOB, 7), [histories.resumed(JOB, 4)[0], histories.resumed(JOB, 2)[1]])
    assert [timeline.lives[0].num_kept for timeline in run.timelines] == [4, 2]


def test_a_rank_that_comes_back_does_not_finish_what_it_had_left_open():
    """Its open batch belongs to a time before the number of ranks changed twice."""
    four = replace(JOB, world_size=4, num_samples=64)
    two = replace(four, world_size=2)
    first = histories.group(four, histories.killed(four, 3), incarnation=0)
    first[2] = msgspec.structs.replace(first[2], records=first[2].records[:-1])
    second = [replace(life, stop_after=5) for life in histories.resized(four, two, 2)]
    third = [Life(epochs=four.epochs_at(r, 0, 32), base=6) for r in range(4)]
    history = histories.history(
        "faulted",
        [
            *first,
            *histories.group(two, second, incarnation=1),
            *histories.group(four, third, incarnation=2),
        ],
    )
    run = histories.of_histories(history, four, []).faulted
    assert len(run.timelines[2].lives[0].steps) == 2
