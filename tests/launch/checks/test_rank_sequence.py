import msgspec
import pytest

from resumable.launch.checks.rank_sequence import rank_sequence
from resumable.launch.checks.state import state
from resumable.launch.evidence.rank_records import Backward, Batch, Exit, FaultFired, Loader, SkippedStep, Step
from resumable.launch.explain.codes.batch_problems import UnknownRank, WindowDiffers
from resumable.launch.explain.codes.optimizer_reasons import EveryUpdateLeftOut
from resumable.launch.explain.codes.place_reasons import AccumulationOffCount
from resumable.launch.explain.codes.share_reasons import PartOfDataset, WorkersDiffer
from resumable.launch.explain.outcome import Outcome
from resumable.launch.plan.fault_grammar import parse_fault
from resumable.launch.plan.fault_model import resolve
from tests.launch import histories
from tests.launch.changes import changed, fields
from tests.launch.histories import Job, Life
from tests.launch.lines import with_records

JOB = Job(num_samples=32)
ONE_EPOCH = Job(num_samples=32, num_epochs=1)


def skip_one(epochs):
    return [epochs[0][1:], *epochs[1:]]


def test_an_exact_resume_is_valid():
    """All ranks go on with the batch that would have come next."""
    result = rank_sequence(histories.one_kill(JOB, at=11, resume=10))
    assert (result.outcome, result.summary) == (Outcome.VALID, "2 ranks, 28 batches, equal from step 10 on")


def test_a_resume_in_epoch_0_says_what_it_cannot_show():
    """Whoever forgets the epoch's number goes on in epoch 0, where he was."""
    result = rank_sequence(histories.one_kill(JOB, at=5, resume=4))
    [note] = result.notes
    assert (result.outcome, result.summary) == (Outcome.VALID, "2 ranks, 40 batches, equal from step 4 on")
    assert "only epoch 0 was resumed in: an epoch that is not restored would not show" in note


def test_a_fault_before_the_first_checkpoint_has_shown_no_resume():
    """Nothing was loaded: to begin again is right, and says nothing of checkpoints."""
    result = rank_sequence(histories.one_kill(ONE_EPOCH, at=1, resume=0))
    [note] = result.notes
    assert (result.outcome, "from scratch" in note) == (Outcome.VALID, True)


@pytest.mark.parametrize(
    ("job", "groups"),
    [
        (JOB, [histories.killed(JOB, 5), histories.killed(JOB, 11, base=4), histories.resumed(JOB, 10)]),
        (ONE_EPOCH, [histories.killed(ONE_EPOCH, 5), histories.resumed(ONE_EPOCH, 4)]),
    ],
    ids=["resumed in another one too", "there is no other one"],
)
def test_what_a_resume_in_epoch_0_cannot_show_is_said_where_it_can_be_shown_alone(job, groups):
    """It is advice for the next run."""
    result = rank_sequence(histories.evidence(job, groups, []))
    assert (result.outcome, result.notes) == (Outcome.VALID, ())


def test_a_rank_that_the_reference_lacks_is_named():
    """In each of its lives."""
    other = Job(num_samples=32, world_size=4)
    faulted = histories.one_kill(other).faulted.history
    violations = rank_sequence(histories.of_histories(faulted, JOB, [])).violations
    found = [(one.incarnation, one.rank) for one in violations if one.problem == UnknownRank(rank=one.rank or 0)]
    assert found == [(incarnation, rank) for incarnation in (0, 1) for rank in (2, 3)]


def test_a_rank_that_left_in_order_may_go_on_after_a_restart():
    """It had a notice, and was not done."""
    first = histories.group(JOB, histories.killed(JOB, 5, rank=-1), incarnation=0)
    left = Exit(sequence=0, time_ns=0, reason="system_exit", code=0)
    first = [histories.with_lines(process, [left]) for process in first]
    second = histories.group(JOB, histories.resumed(JOB, 4), incarnation=1)
    evidence = histories.of_histories(histories.history("faulted", [*first, *second]), JOB, [])
    assert rank_sequence(evidence).outcome == Outcome.VALID


@pytest.mark.parametrize(
    ("parameters", "num_done", "outcomes"),
    [
        ((JOB.state(24), JOB.state(24)), 24, (Outcome.VALID, Outcome.VALID)),
        ((JOB.state(24), JOB.state(24)), 23, (Outcome.INVALID, Outcome.UNKNOWN)),
        (("other", "other"), 24, (Outcome.UNKNOWN, Outcome.INVALID)),
        ((JOB.state(24), "other"), 24, (Outcome.UNKNOWN, Outcome.INVALID)),
        ((None, None), 24, (Outcome.UNKNOWN, Outcome.UNKNOWN)),
        ((JOB.state(24), None), 24, (Outcome.UNKNOWN, Outcome.UNKNOWN)),
    ],
)
def test_a_job_with_nothing_left_to_train_must_end_with_the_right_parameters(parameters, num_done, outcomes):
    """The fault came after the last step, and the checkpoint was of that one; an end that tells nothing proves nothing."""
    first = histories.group(JOB, histories.killed(JOB, num_done), incarnation=0)
    ended = [Exit(sequence=0, time_ns=0, reason="finished", parameters=own) for own in parameters]
    idle = [Life(epochs=[], base=24, stop_after=0, loads="ckpt/step-24.pt") for _ in first]
    second = histories.group(JOB, idle, incarnation=1)
    processes = [*first, *(histories.with_lines(process, [ended[process.rank]]) for process in second)]
    evidence = histories.of_histories(histories.history("faulted", processes), JOB, [histories.sigkill(23)])
    assert outcomes == (rank_sequence(evidence).outcome, state(evidence).outcome)


def test_the_first_wrong_batch_is_named_with_its_line():
    """A violation says rank, epoch, batch, both lists of indices, and where the evidence stands."""
    result = rank_sequence(histories.one_kill(JOB, at=5, resume=4, rank1=skip_one))
    violation = result.violations[0]
    epoch = JOB.epoch(1, 0)
    assert result.outcome == Outcome.INVALID
    assert (violation.rank, violation.incarnation, violation.epoch, violation.batch, violation.step) == (1, 1, 0, 4, 4)
    assert (tuple(epoch[4]), tuple(epoch[5])) == (violation.expected, violation.found)
    assert (violation.file, violation.line) == ("faulted/events/i001-r0001-1.jsonl", 5)


def test_what_is_trained_on_after_the_end_is_named_by_itself():
    """Nothing was expected there."""
    result = rank_sequence(histories.one_kill(JOB, rank1=lambda epochs: [*epochs, JOB.epoch(1, 3)]))
    [violation] = result.violations
    assert (violation.epoch, violation.batch, violation.step) == (3, 0, 24)
    assert (violation.expected, violation.found) == ((), tuple(JOB.epoch(1, 3)[0]))


def test_batches_without_indices_are_shown_by_their_digests():
    """What was expected and what was found is never nothing where there was a batch."""
    faulted = histories.without_indices(histories.one_kill(JOB, at=5, resume=4, rank1=skip_one).faulted.history)
    first, second = (histories.without_indices(histories.reference(JOB, number)) for number in (1, 2))
    evidence = histories.of_histories(faulted, JOB, [histories.sigkill(4)], first=first, second=second)
    violation = rank_sequence(evidence).violations[0]
    epoch = JOB.epoch(1, 0)
    assert violation.expected == (f"content of {epoch[4]}",)
    assert violation.found == (f"content of {epoch[5]}",)
    assert violation.problem.is_by_content


def test_fast_forwarding_is_right():
    """A script may receive the batches that it has done already, as long as it does not train on them."""
    first, last = JOB.epoch(0, 0)[:4], JOB.epoch(1, 0)[:4]
    lives = [
        histories.Life(epochs=life.epochs, base=4, loads=life.loads, fast_forward=skipped)
        for life, skipped in zip(histories.resumed(JOB, 4), (first, last), strict=True)
    ]
    evidence = histories.evidence(JOB, [histories.killed(JOB, 5), lives], [histories.sigkill(4)])
    assert rank_sequence(evidence).outcome == Outcome.VALID


def test_a_wrong_second_resume_is_invalid():
    """A rank that is right after the first restart and wrong after the second is wrong."""
    groups = [histories.killed(JOB, 5), histories.killed(JOB, 7, base=4, fault=1), histories.resumed(JOB, 0)]
    wrong = [histories.Life(epochs=life.epochs, base=6, loads=histories.path_of(6)) for life in groups[2]]
    faults = [histories.sigkill(4), histories.sigkill(6, number=1)]
    assert rank_sequence(histories.evidence(JOB, [*groups[:2], wrong], faults)).outcome == Outcome.INVALID


def test_a_run_that_differs_before_its_fault_is_unknown():
    """The restart is not to blame for what came before it."""
    first = [histories.Life(epochs=[life.epochs[0][1:]], stop_after=5) for life in histories.killed(JOB, 5)]
    evidence = histories.evidence(JOB, [first, histories.resumed(JOB, 4)], [histories.sigkill(4)])
    assert rank_sequence(evidence).outcome == Outcome.UNKNOWN


def test_a_run_without_a_restart_is_unknown():
    """What equals the reference without an interruption proves nothing."""
    evidence = histories.evidence(JOB, [histories.resumed(JOB, 0)], [histories.sigkill(4)])
    result = rank_sequence(evidence)
    assert (result.outcome, result.summary) == (Outcome.UNKNOWN, "no rank trained after a restart")


def test_a_fault_that_ended_the_job_for_good_was_not_outlived():
    """Nobody started it again."""
    result = rank_sequence(histories.evidence(JOB, [histories.killed(JOB, 5)], [histories.sigkill(4)]))
    assert (result.outcome, result.summary) == (Outcome.UNKNOWN, "no rank trained after a restart")


def after_restart(change, **epochs):
    """How the first differences are explained where the lines after the restart are changed, and what ranks train on."""
    history = histories.one_kill(JOB, **epochs).faulted.history
    processes = tuple(
        with_records(process, map(change, process.records)) if process.incarnation else process
        for process in history.processes
    )
    evidence = histories.of_histories(msgspec.structs.replace(history, processes=processes), JOB, [])
    return [violation.reason for violation in rank_sequence(evidence).violations]


def test_a_job_that_made_no_step_at_all_is_told_how_many_were_left_out():
    """The scaler began with a scale that is too great."""

    def left_out(line):
        return SkippedStep(sequence=0, time_ns=0) if isinstance(line, Step) else line

    assert after_restart(left_out) == [EveryUpdateLeftOut(num=20)] * 2


def test_a_job_that_reads_a_part_of_its_data_after_a_restart_is_told_so():
    """A subset stands for the rest of the epoch, and what was made of it shows that it is not the right one."""
    assert (
        after_restart(fields(Loader, num_samples=24), rank0=skip_one, rank1=skip_one)
        == [PartOfDataset(num_samples=24)] * 2
    )


def test_another_number_of_workers_that_share_an_iterable_data_set_is_named():
    """It is a different order: where the job went on is not to be asked."""
    shared = fields(Loader, num_samples=None, num_workers=3)
    assert after_restart(shared, rank0=skip_one, rank1=skip_one) == [WorkersDiffer(num_found=3, num_expected=1)] * 2


def blinded(history):
    """Rank 1's batches have neither indices nor a digest."""
    return changed(history, fields(Batch, indices=None), rank=1)


def test_batches_of_one_rank_that_nothing_identifies_are_unknown():
    """What is equal to nothing proves nothing, though the other rank is right."""
    runs = [histories.one_kill(JOB).faulted.history, histories.reference(JOB, 1), histories.reference(JOB, 2)]
    faulted, first, second = map(blinded, runs)
    result = rank_sequence(histories.of_histories(faulted, JOB, [], first=first, second=second))
    assert result.outcome == Outcome.UNKNOWN


def test_a_fault_that_the_job_outlived_is_named():
    """A link that was down for a second only has interrupted nothing."""
    [planned] = resolve([parse_fault("partition(for=1)@step=2:rank=1")], world_size=2, seed=0)
    ranks = histories.group(JOB, histories.resumed(JOB, 0), incarnation=0)
    fired = FaultFired(sequence=0, time_ns=0, fault=0, kind="partition")
    lines = (*ranks[1].records[:12], fired, *ranks[1].records[12:])
    ranks[1] = histories.with_lines(msgspec.structs.replace(ranks[1], records=lines), ())
    result = rank_sequence(histories.of_histories(histories.history("faulted", ranks), JOB, [planned]))
    expected = "no rank trained after a restart: the job survived partition(for=1)@step=2:rank=1"
    assert (Outcome.UNKNOWN, expected) == (result.outcome, result.summary)


def test_nothing_to_compare_with_is_not_applicable():
    """`resumable run` has no reference."""
    evidence = msgspec.structs.replace(histories.one_kill(JOB), references=())
    assert rank_sequence(evidence).outcome == Outcome.NOT_APPLICABLE


def test_another_number_of_ranks_is_not_applicable():
    """Ranks of a group of another size are not compared one by one."""
    other = Job(num_samples=32, world_size=4)
    groups = [histories.killed(JOB, 5), histories.resized(JOB, other, 4)]
    evidence = histories.evidence(JOB, groups, [histories.sigkill(4)], other)
    assert rank_sequence(evidence).outcome == Outcome.NOT_APPLICABLE


def accumulated(history, *, is_late):
    """Two batches a step; `is_late`: after the restart the first step comes a batch too soon, so that all others do."""
    return msgspec.structs.replace(
        history, processes=tuple(_accumulated(one, is_late and one.incarnation > 0) for one in history.processes)
    )


def _accumulated(process, is_shifted):
    steps = [line for line in process.records if isinstance(line, Step)]
    kept = steps[not is_shifted :: 2]
    numbered = {one.sequence: number for number, one in enumerate(kept)}
    befores = {kept[0].sequence: steps[0].before}

    def renumbered(line):
        if not isinstance(line, Step):
            return line
        return msgspec.structs.replace(line, step=numbered[line.sequence], before=befores.get(line.sequence))

    lines = [line for line in process.records if not isinstance(line, Step) or line.sequence in numbered]
    return with_records(process, map(renumbered, lines))


@pytest.mark.parametrize(
    ("is_late", "expected"),
    [
        (False, (Outcome.VALID, None)),
        (True, (Outcome.INVALID, WindowDiffers(rank=0, step=2, num_found=1, num_expected=2))),
    ],
)
def test_steps_that_come_elsewhere_among_the_right_batches_are_named_as_such(is_late, expected):
    """A count of micro-batches that begins with the process, or with each epoch, makes others of them."""
    job = Job(num_samples=32)
    first, second = (accumulated(histories.reference(job, number), is_late=False) for number in (1, 2))
    run = accumulated(histories.one_kill(job).faulted.history, is_late=is_late)
    result = rank_sequence(histories.of_histories(run, job, [], first=first, second=second))
    assert expected == (result.outcome, result.problem)


def alternating(history, *, is_late=False):
    """After every third batch comes a step without one; `is_late`: a process counts from its own first batch on."""
    done = {one.incarnation: 8 if one.incarnation and not is_late else 0 for one in history.processes}
    processes = tuple(_alternating(one, done[one.incarnation]) for one in history.processes)
    return msgspec.structs.replace(history, processes=processes)


def _alternating(process, num_done):
    lines, num_steps = [], 0
    for line in process.records:
        if not isinstance(line, Step):
            lines.append(line)
            continue
        lines.append(msgspec.structs.replace(line, step=num_steps))
        num_done, num_steps = num_done + 1, num_steps + 1
        if num_done % 3 == 0:
            more = msgspec.structs.replace(line, step=num_steps, before=None, after=f"{line.after}-more")
            lines += [Backward(sequence=0, time_ns=0, loss=0.5), more]
            num_steps += 1
    return with_records(process, lines)


@pytest.mark.parametrize("is_late", [False, True])
def test_a_step_without_a_batch_that_comes_elsewhere_is_no_end(is_late):
    """It is of a second optimizer that steps after every third batch, by a count that begins with the process."""
    first, second = (alternating(histories.reference(JOB, number)) for number in (1, 2))
    run = alternating(histories.one_kill(JOB, at=9, resume=8).faulted.history, is_late=is_late)
    result = rank_sequence(histories.of_histories(run, JOB, [], first=first, second=second))
    wrong = (Outcome.INVALID, WindowDiffers(rank=0, step=11, num_found=1, num_expected=0), AccumulationOffCount())
    found = (result.outcome, result.problem, result.violations[0].reason if result.violations else None)
    assert found == (wrong if is_late else (Outcome.VALID, None, None))
