"""The order that a sampler described when each epoch began, against what was trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import msgspec
import pytest

from resumable.launch.checks.described_order import described_order
from resumable.launch.evidence.history import History
from resumable.launch.evidence.rank_records import AnyRecord, Backward, Batch, EpochBegin, EpochEnd, Start, Step
from resumable.launch.evidence.recorded_runs import record_plan
from resumable.launch.explain.outcome import Outcome
from resumable.launch.jobs.streams import described
from resumable.launch.reading import described_order as reading
from resumable.launch.reading.described_order import DescribedEpoch, Stream
from resumable.launch.reading.evidence import Evidence, gather
from resumable.launch.worker.watch.index_texts import samples_digest
from resumable.samplers import Mixture, ResumableSampler, SamplerError
from tests.launch import histories
from tests.launch.changes import changed, changed_process, fields, together
from tests.launch.histories import Epochs, Job

Change = Callable[[AnyRecord], AnyRecord | None]


class Dealt(Job):
    """A job whose samples a sampler of ours deals out."""

    def sampler(self, epoch: int, **dealt: Any) -> ResumableSampler:
        order = "randperm" if self.shuffle else "sequential"
        sampler = ResumableSampler(order, num_samples=self.num_samples, **dealt)
        sampler.set_epoch(epoch)
        return sampler

    def order(self, epoch: int) -> list[int]:
        """As the sampler describes it."""
        return [*self.sampler(epoch)]


class Mixed(Dealt):
    """One whose samples come several times in an epoch, by weight."""

    def sampler(self, epoch: int, **dealt: Any) -> ResumableSampler:
        half = self.num_samples // 2
        order = Mixture([half, self.num_samples - half], [0.8, 0.2], order="randperm")
        sampler = ResumableSampler(order, num_samples=self.num_samples, **dealt)
        sampler.set_epoch(epoch)
        return sampler


class DealtByBatch(Dealt):
    """One whose ranks take turns by whole batches, as some loaders deal a sampler out."""

    def epoch(self, rank: int, epoch: int, consumed: int = 0) -> list[list[int]]:
        """A rank's batches of what is left of an epoch after `consumed` samples."""
        rest = self.order(epoch)[consumed:]
        batches = [rest[first : first + self.batch_size] for first in range(0, len(rest), self.batch_size)]
        return batches[rank :: self.world_size]


JOB = Dealt(num_samples=32)
DIFFERENT = "on the ranks' common order is different"


class InThisProcess:
    """Arranges without starting another."""

    def of(self, epoch: DescribedEpoch, most: int) -> Stream:
        try:
            return msgspec.convert(described(dict(epoch.state or {}), most), Stream)
        except (SamplerError, ValueError) as error:
            return Stream(why=str(error))

    def close(self) -> None:
        """There is nothing to end."""


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "Streams", InThisProcess)


def alone(history: History, job: Dealt = JOB, **dealt: Any) -> Evidence:
    """Nobody has an uninterrupted run, and each epoch is described as it begins."""
    for number in history.incarnations:
        options = {"num_replicas": history.world_size(number), "batch_size": job.batch_size, **dealt}
        history = changed(history, lambda line, options=options: describe(line, job, options), incarnation=number)
    plan = record_plan()
    return gather(plan, plan.scenarios[0], [], history)


def describe(line: AnyRecord, job: Dealt, options: dict[str, Any]) -> AnyRecord:
    if not isinstance(line, EpochBegin):
        return line
    return msgspec.structs.replace(
        line, sampler_state=job.sampler(line.sampler_epoch or 0, **options).epoch_state_dict()
    )


def killed_once(job: Dealt = JOB, **changes: Any) -> History:
    return histories.one_kill(job, **changes).faulted.history


@pytest.mark.parametrize("at", [3, 5, 8, 9, 13, 16, 23])
def test_an_exact_resume_keeps_the_order(at: int) -> None:
    """At whichever place it was killed; its first epoch and the border of one included."""
    result = described_order(alone(killed_once(at=at, resume=at - 1)))
    assert (result.outcome, result.summary) == (Outcome.VALID, "96 samples in 3 epochs, in the order of the sampler")


@pytest.mark.parametrize(
    ("change", "summary"),
    [
        (lambda epochs: [epochs[0][1:], *epochs[1:]], f"from sample 17 of epoch 0 {DIFFERENT}"),
        (
            lambda epochs: [[epochs[0][0], *epochs[0]], *epochs[1:]],
            "epoch 0 trains on 2 samples again, after the first 21 of it",
        ),
        (lambda epochs: [epochs[0], epochs[1][::-1], *epochs[2:]], f"from sample 1 of epoch 1 {DIFFERENT}"),
        (lambda epochs: [epochs[0], *epochs[2:]], "epoch 1 trains on 3 samples again, after the first 3 of it"),
    ],
    ids=["skipped", "again", "next epoch the other way round", "an epoch left out"],
)
def test_what_comes_in_another_order_is_seen(change: Callable[[Epochs], Epochs], summary: str) -> None:
    """On one rank already; in the first epoch too, of which no other one says what it holds."""
    result = described_order(alone(killed_once(at=5, resume=4, rank1=change)))
    assert (result.outcome, str(result.violations[0].problem)) == (Outcome.INVALID, summary)


def digested(history: History) -> History:
    """The same as `--keep batches` leaves it."""
    kept = fields(Start, keep="batches")
    digests = fields(Batch, indices=None, digest=lambda line: samples_digest(line.indices))
    processes = (changed_process(process, together(kept, digests)) for process in history.processes)
    return msgspec.structs.replace(
        history, processes=tuple(msgspec.structs.replace(one, start=one.records[0]) for one in processes)
    )


@pytest.mark.parametrize("num_samples", [32, 33, 35])
@pytest.mark.parametrize("at", [3, 5, 8, 16])
def test_digests_of_batches_are_enough(at: int, num_samples: int) -> None:
    """They are those of what the sampler's order gives each rank, padding included."""
    job = Dealt(num_samples=num_samples)
    result = described_order(alone(digested(killed_once(job, at=at, resume=at - 1)), job))
    assert (result.outcome, "samples in 3 epochs" in result.summary) == (Outcome.VALID, True)


@pytest.mark.parametrize(
    ("change", "summary"),
    [
        (
            lambda epochs: [[epochs[0][0], *epochs[0]], *epochs[1:]],
            "epoch 0 trains on 2 samples again, after the first 21 of it",
        ),
        (lambda epochs: [epochs[0], epochs[1][::-1], *epochs[2:]], f"from sample 1 of epoch 1 {DIFFERENT}"),
    ],
    ids=["again", "next epoch the other way round"],
)
def test_digests_show_a_different_order(change: Callable[[Epochs], Epochs], summary: str) -> None:
    """As far as the batches are some of the epoch's, with the same words."""
    result = described_order(alone(digested(killed_once(at=5, resume=4, rank1=change))))
    assert (result.outcome, summary in str(result.violations[0].problem)) == (Outcome.INVALID, True)


@pytest.mark.parametrize(("change", "outcome"), [(0, Outcome.VALID), (1, Outcome.INVALID)])
def test_ranks_may_take_turns_by_whole_batches(change: int, outcome: Outcome) -> None:
    """As they did before the first restart."""
    job = DealtByBatch(num_samples=32)
    history = killed_once(job, at=5, resume=4, rank1=lambda epochs: [epochs[0][change:], *epochs[1:]])
    assert described_order(alone(history, job)).outcome == outcome


@pytest.mark.parametrize(
    ("num_samples", "change", "summary"),
    [
        (32, list, "96 samples in 3 epochs, in the order of the sampler"),
        (33, list, "102 samples in 3 epochs, in the order of the sampler"),
        (32, lambda epochs: [epochs[0], epochs[1][::-1], *epochs[2:]], f"from sample 1 of epoch 1 {DIFFERENT}"),
        (
            32,
            lambda epochs: [[*epochs[0], [98]], *epochs[1:]],
            "epoch 0 has 33 samples, of 32 that its sampler described",
        ),
    ],
    ids=["exact", "padding included", "the other way round", "too many"],
)
def test_a_mixture_gives_samples_again(num_samples: int, change: Callable[[Epochs], Epochs], summary: str) -> None:
    """Where its order says so, and there alone."""
    job = Mixed(num_samples=num_samples)
    assert described_order(alone(killed_once(job, at=5, resume=4, rank1=change), job)).summary == summary


def test_more_than_evens_out_the_shares_of_a_mixture_is_too_many() -> None:
    """Though it is what padding would be: the first samples of the epoch."""
    job = Mixed(num_samples=32)
    again = [lambda epochs, own=own: [[*epochs[0], [own]], *epochs[1:]] for own in job.order(0)[:2]]
    result = described_order(alone(killed_once(job, at=5, resume=4, rank0=again[0], rank1=again[1]), job))
    assert result.summary == "epoch 0 has 34 samples, of 32 that its sampler described"


def test_what_is_let_go_of_a_mixture_is_not_known() -> None:
    """The same samples come again elsewhere."""
    job = Mixed(num_samples=32)
    history = killed_once(job, at=5, resume=4)
    for process in history.group(1):
        left_out = [line.sequence for line in process.records if isinstance(line, Backward | Step)][4:6]
        history = changed(history, partial(_unless_in, left_out), incarnation=1, rank=process.rank)
    result = described_order(alone(history, job))
    assert (result.outcome, "come several times" in result.summary) == (Outcome.NOT_APPLICABLE, True)


def test_what_should_have_come_is_shown_beside_what_came() -> None:
    """From the first difference on, or from the first sample that came again."""
    skipped, again = (
        described_order(alone(killed_once(at=5, resume=4, rank1=change))).violations[0]
        for change in (
            lambda epochs: [epochs[0][1:], *epochs[1:]],
            lambda epochs: [[epochs[0][0], *epochs[0]]],
        )
    )
    order = JOB.order(0)
    assert (skipped.epoch, skipped.expected[0], skipped.found[0]) == (0, order[17], order[21])
    assert (again.epoch, again.expected[0], again.found[0]) == (0, order[21], order[17])


def test_samples_beyond_the_epoch_are_too_many() -> None:
    """They come behind all that the sampler described."""
    extra = [lambda epochs, own=own: [[*epochs[0], own], *epochs[1:]] for own in ([98], [99])]
    result = described_order(alone(killed_once(at=5, resume=4, rank0=extra[0], rank1=extra[1])))
    assert result.summary == "epoch 0 has 34 samples, of 32 that its sampler described"


@pytest.mark.parametrize(
    ("batch", "is_forward", "outcome"),
    [(2, False, Outcome.VALID), (0, False, Outcome.INVALID), (0, True, Outcome.VALID)],
)
def test_a_batch_that_the_loop_lets_go_is_not_lost(batch: int, is_forward: bool, outcome: Outcome) -> None:
    """Its loss was no number, say. What comes before the first step of a pass, and had no forward pass, was skipped."""
    history = killed_once(at=5, resume=4)
    for process in history.group(1):
        trained = [line.sequence for line in process.records if isinstance(line, Backward | Step)]
        left_out, following = trained[2 * batch : 2 * batch + 2], trained[2 * batch + 2]
        beside = [left_out[0] - 1] if is_forward else []
        looked_at = fields(Backward, when=lambda line, n=following: line.sequence == n, beside=beside)
        change = together(looked_at, partial(_unless_in, left_out))
        history = changed(history, change, incarnation=1, rank=process.rank)
    assert described_order(alone(history)).outcome == outcome


def test_a_skip_that_is_not_cleared_is_no_batch_that_was_let_go() -> None:
    """The process leaves out the first batch of the next epoch too, which it receives long after its first step."""
    history = killed_once(at=5, resume=4)
    for process in history.group(1):
        later = [line.sequence for line in process.records if isinstance(line, EpochBegin)][1]
        trained = [line.sequence for line in process.records if isinstance(line, Backward | Step)]
        left_out = [sequence for sequence in trained if sequence > later][:2]
        history = changed(history, partial(_unless_in, left_out), incarnation=1, rank=process.rank)
    result = described_order(alone(history))
    assert result.summary == f"from sample 0 of epoch 1 {DIFFERENT}"


def _unless_in(left_out: list[int], line: AnyRecord) -> AnyRecord | None:
    return None if line.sequence in left_out else line


@pytest.mark.parametrize("num_samples", [33, 34, 35])
def test_padding_is_no_difference(num_samples: int) -> None:
    """The last turn is made whole with samples of the same epoch."""
    job = Dealt(num_samples=num_samples)
    assert described_order(alone(killed_once(job, at=5, resume=4), job)).outcome == Outcome.VALID


@pytest.mark.parametrize(
    "kept", [pytest.param(lambda history: history, id="samples"), pytest.param(digested, id="digests")]
)
def test_a_different_number_of_ranks_goes_on_with_the_same_order(kept: Callable[[History], History]) -> None:
    """From the place in the middle of an epoch that the others had come to."""
    other = replace(JOB, world_size=4)
    groups = [histories.killed(JOB, 3), histories.resized(JOB, other, 2)]
    history = histories.evidence(JOB, groups, [], other).faulted.history
    history = changed(history, fields(EpochBegin, sampler_epoch=lambda line: line.epoch), incarnation=1)
    assert described_order(alone(kept(history))).summary == "96 samples in 3 epochs, in the order of the sampler"


def test_an_epoch_that_the_loader_ended_too_soon_is_short() -> None:
    """Samples of it were lost; where the loop itself went on, nobody knows that."""
    history = killed_once(at=5, resume=4, rank0=_without_last, rank1=_without_last)
    result = described_order(alone(history))
    assert result.summary == "epoch 0 has 28 samples, of 32 that its sampler described"
    left = changed(history, lambda line: None if isinstance(line, EpochEnd) else line, incarnation=1)
    assert described_order(alone(left)).outcome == Outcome.VALID


@pytest.mark.parametrize(
    ("num_samples", "drop_last", "outcome"),
    [
        (33, False, Outcome.INVALID),
        (33, True, Outcome.VALID),
        (35, True, Outcome.INVALID),
        (35, "global", Outcome.VALID),
        (36, "global", Outcome.INVALID),
    ],
)
def test_a_tail_that_the_sampler_drops_is_not_lost(num_samples: int, drop_last: bool | str, outcome: Outcome) -> None:
    """Less than a row of all ranks, or less than a batch of each; the last batch of every epoch is left out."""
    job = Dealt(num_samples=num_samples)

    def without_tails(epochs: Epochs) -> Epochs:
        return [epoch[:-1] for epoch in epochs]

    history = killed_once(job, at=5, resume=4, rank0=without_tails, rank1=without_tails)
    assert described_order(alone(history, job, drop_last=drop_last)).outcome == outcome


def _without_last(epochs: Epochs) -> Epochs:
    return [epochs[0][:-1], *epochs[1:]]


def test_an_epoch_out_of_turn_is_named() -> None:
    """The process counts its epochs from 0 again, and trains on their orders; at a border nothing else shows it."""
    groups = [histories.killed(JOB, 9), [replace(life, epochs=life.epochs[:2]) for life in histories.resumed(JOB, 0)]]
    groups[1] = [replace(life, base=8) for life in groups[1]]
    history = changed(histories.evidence(JOB, groups, []).faulted.history, _earlier, incarnation=1)
    result = described_order(alone(history))
    assert result.summary == "epoch 1 trains on the order of the sampler's epoch 0"


def test_where_all_epochs_have_one_order_none_is_out_of_turn() -> None:
    """Whatever the sampler calls them."""
    job = Dealt(num_samples=32, shuffle=False)
    history = changed(killed_once(job, at=9, resume=8), _earlier, incarnation=1)
    assert described_order(alone(history, job)).outcome == Outcome.VALID


def _earlier(line: AnyRecord) -> AnyRecord:
    if not isinstance(line, EpochBegin):
        return line
    return msgspec.structs.replace(line, sampler_epoch=(line.sampler_epoch or 0) - 1)


@pytest.mark.parametrize(
    ("job", "dealt", "why"),
    [
        (Job(num_samples=32), {}, "before the first restart already"),
        (JOB, {"num_replicas": 1}, "each rank has a sampler of its own"),
    ],
    ids=["rearranged by somebody else", "not shared"],
)
def test_who_does_not_follow_the_description_is_not_accused(job: Job, dealt: dict[str, Any], why: str) -> None:
    """The undisturbed part shows whether it is the order of the job."""
    history = histories.one_kill(job, at=5, resume=4).faulted.history
    result = described_order(alone(history, **dealt))
    assert result.outcome == Outcome.NOT_APPLICABLE
    assert why in result.summary


def test_without_a_description_nothing_is_said() -> None:
    """Nor beside an uninterrupted run, which says more."""
    whole = histories.one_kill(JOB, at=5, resume=4)
    plan = record_plan()
    undescribed = gather(plan, plan.scenarios[0], [], whole.faulted.history)
    assert {described_order(evidence).outcome for evidence in (whole, undescribed)} == {Outcome.NOT_APPLICABLE}


def test_an_order_that_only_the_program_knows_is_not_arranged() -> None:
    """And what no state says either."""
    evidence = alone(killed_once(at=5, resume=4))
    for change in ({"parameters": {"x": 1}}, {"num_samples": 2**40}, {"order": "mine/1"}):
        history = evidence.faulted.history
        for number in history.incarnations:
            history = changed(history, lambda line, change=change: _with_stream(line, change), incarnation=number)
        result = described_order(gather(evidence.plan, evidence.scenario, [], history))
        assert (result.outcome, "cannot be arranged here" in result.summary) == (Outcome.NOT_APPLICABLE, True)


def _with_stream(line: AnyRecord, change: dict[str, Any]) -> AnyRecord:
    state = line.sampler_state if isinstance(line, EpochBegin) else None
    if not isinstance(line, EpochBegin) or state is None:
        return line
    return msgspec.structs.replace(line, sampler_state={**state, "stream": {**state["stream"], **change}})
