"""Indices in a part of the data set, and when they mean samples of the whole."""

from collections.abc import Callable

import msgspec
import pytest

from resumable.launch.checks.exactly_once import exactly_once
from resumable.launch.checks.rank_sequence import rank_sequence
from resumable.launch.evidence.history import History, Process
from resumable.launch.evidence.rank_records import AnyRecord, Backward, Batch, EpochBegin, EpochEnd, Loader, Step
from resumable.launch.explain.outcome import Outcome
from resumable.launch.reading.evidence import Evidence
from tests.launch import histories
from tests.launch.changes import Change, changed, changed_process, fields, together
from tests.launch.histories import Job

JOB = Job(num_samples=32)


def with_one_loss(history: History) -> History:
    """All ranks have the same loss: it does not come from their samples."""
    return changed(history, fields(Backward, loss=0.5))


def as_it_is(history: History) -> History:
    return history


def resumed(*changes: Change, everywhere: Callable[[History], History] = as_it_is) -> Evidence:
    """Both ranks go on after step 4, with these changes of their lines.

    Args:
        changes: Of the lines.
        everywhere: A change of the references and of the killed run.
    """
    history = changed(everywhere(histories.one_kill(JOB).faulted.history), together(*changes), incarnation=1)
    first, second = (everywhere(histories.reference(JOB, number)) for number in (1, 2))
    return histories.of_histories(history, JOB, [], first=first, second=second)


def in_slice(line: AnyRecord) -> AnyRecord:
    """Of the first pass, read from a slice of 16 samples."""
    match line:
        case Loader():
            return msgspec.structs.replace(line, num_samples=16)
        case Batch(epoch=0):
            return msgspec.structs.replace(line, indices=[2 * line.batch, 2 * line.batch + 1])
        case _:
            return line


with_other_loss = fields(Backward, loss=-1.0)
without_loss = fields(Backward, loss=None)
with_other_parameters = fields(Step, after="other")


def test_a_slice_is_the_right_one_if_training_makes_the_same_of_it():
    """Losses and parameters are equal, to the last bit: its samples are counted as those of the whole, too."""
    evidence = resumed(in_slice)
    assert rank_sequence(evidence).outcome == Outcome.VALID
    assert exactly_once(evidence).outcome == Outcome.VALID


@pytest.mark.parametrize("change", [with_other_loss, without_loss, with_other_parameters])
def test_a_slice_of_which_training_makes_anything_else_is_invalid(change):
    """Or of which nothing is known."""
    [violation, _] = rank_sequence(resumed(in_slice, change)).violations
    assert violation.sentence == "rank 0 trained on different samples in batch 4 of epoch 0"
    assert violation.explanation == (
        "its data set has 16 samples, whose indices are different, and neither losses nor parameters show that it went "
        "on with the right part"
    )


def test_a_loss_that_every_rank_has_does_not_tell_samples():
    """It does not come from what they trained on."""
    assert rank_sequence(resumed(in_slice, everywhere=with_one_loss)).outcome == Outcome.INVALID


def without_parameters(history: History) -> History:
    """As a job without an optimizer leaves it."""
    return changed(history, fields(Step, before=None, after=None))


def test_losses_alone_do_not_tell_samples():
    """What training makes of them is in the parameters."""
    assert rank_sequence(resumed(in_slice, everywhere=without_parameters)).outcome == Outcome.INVALID


of_one_sample = fields(Batch, indices=lambda line: line.indices[:1])


def test_batches_of_another_size_are_others():
    """Whatever the losses say."""
    assert rank_sequence(resumed(in_slice, of_one_sample)).outcome == Outcome.INVALID


def in_slice_at_first(line: AnyRecord) -> AnyRecord:
    """Only the first pass is one over a slice; the others read the whole data set, backwards."""
    match line:
        case Loader():
            return line
        case EpochBegin(epoch=0) | EpochEnd(epoch=0):
            return msgspec.structs.replace(line, loader=1)
        case Batch(epoch=0):
            return msgspec.structs.replace(in_slice(line), loader=1)
        case Batch():
            return msgspec.structs.replace(line, indices=line.indices[::-1])
        case _:
            return line


def with_a_slice(process: Process) -> Process:
    """Before its first line but one comes the loader of a slice."""
    [loader] = [line for line in process.records if isinstance(line, Loader)]
    lines = [*process.records[:1], msgspec.structs.replace(loader, loader=1, num_samples=16), *process.records[1:]]
    records = tuple(msgspec.structs.replace(line, sequence=number) for number, line in enumerate(lines))
    return msgspec.structs.replace(process, records=records)


def test_after_the_slice_indices_are_those_of_the_whole_again():
    """The first pass is right, and the next one is not."""
    history = histories.one_kill(JOB).faulted.history
    processes = tuple(
        with_a_slice(changed_process(one, in_slice_at_first)) if one.incarnation else one for one in history.processes
    )
    first, second = (histories.reference(JOB, number) for number in (1, 2))
    evidence = histories.of_histories(
        msgspec.structs.replace(history, processes=processes), JOB, [], first=first, second=second
    )
    sentences = [violation.sentence for violation in rank_sequence(evidence).violations]
    assert sentences == [f"rank {rank} trained on different samples in batch 0 of epoch 1" for rank in (0, 1)]


def other_samples(line: AnyRecord) -> AnyRecord:
    is_of_first = isinstance(line, Batch) and line.epoch == 0
    return msgspec.structs.replace(line, indices=line.indices[::-1]) if is_of_first else line


def test_other_indices_in_the_whole_data_set_are_other_samples():
    """Whatever the losses say."""
    assert rank_sequence(resumed(other_samples)).outcome == Outcome.INVALID
