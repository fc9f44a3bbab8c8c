"""What a run with a sampler of ours proves alone: the order that the sampler itself described when each epoch began."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set

import msgspec

from resumable.launch.checks.check import Check
from resumable.launch.evidence.rank_records import Index
from resumable.launch.explain.check_result import MAX_INDICES, CheckResult, Violation, failed, not_applicable, passed
from resumable.launch.explain.codes.batch_problems import (
    EpochLengthNotDescribed,
    EpochOutOfTurn,
    StreamOrderDiffers,
    StreamRepeats,
)
from resumable.launch.explain.codes.statement import Problem
from resumable.launch.explain.common_order import problem_of_order
from resumable.launch.explain.outcome import Outcome
from resumable.launch.reading.described_order import (
    DescribedEpoch,
    Stream,
    Streams,
    described_epochs,
    let_go,
    named_batches,
    streams,
)
from resumable.launch.reading.differences import first_difference
from resumable.launch.reading.evidence import Evidence
from resumable.launch.reading.global_stream import EpochStreams, Names, num_dropped, without_repeats
from resumable.launch.reading.lives import Run
from resumable.launch.system.wording import counted


def _described_order(evidence: Evidence) -> CheckResult:
    run = evidence.faulted
    if evidence.references:
        return not_applicable("the uninterrupted run says which batches should have come")
    if len(run.history.incarnations) < 2 or evidence.profile.interleaves_loaders:
        return not_applicable("there was no restart, or loaders are trained on side by side")
    epochs = list(described_epochs(run))
    if not epochs or any(epoch.state is None for epoch in epochs):
        return not_applicable("no sampler of resumable.samplers says in which order the samples should come")
    if any(epoch.num_replicas != epoch.world_size for epoch in epochs):
        return not_applicable("each rank has a sampler of its own, or they share one that is dealt out elsewhere")
    with streams() as arranged:
        names = named_batches(run, epochs, arranged)
        if names is None:
            return not_applicable("neither the samples of batches were recorded nor how they are cut")
        result = _compared(run, epochs, arranged, names, {})
        return (
            result if result.outcome is Outcome.VALID else _compared(run, epochs, arranged, names, let_go(run, names))
        )


described_order = Check(
    name="described_order",
    claim="All ranks together train on each epoch in the order that its sampler described, over all restarts.",
    run=_described_order,
    needs_reference=False,
    is_of_batches=True,
    proves=frozenset({"samples"}),
)


def _compared(
    run: Run, epochs: Sequence[DescribedEpoch], arranged: Streams, names: Names, gone: Mapping[int, Set[Index]]
) -> CheckResult:
    """Compare what was trained on with what should have come; `gone`: what the loop itself left out of each epoch."""
    trained, first, most = EpochStreams(run, names), run.history.incarnations[:1], max(run.world_sizes) - 1

    def due(epoch: DescribedEpoch, num_samples: int) -> Stream:
        left_out = gone.get(epoch.number, frozenset())
        whole = arranged.of(epoch, num_samples + len(left_out))
        if left_out and whole.repeats:
            return Stream(why="the job let batches go, and their samples come several times")
        samples = [sample for sample in whole.samples if sample not in left_out]
        return msgspec.structs.replace(whole, samples=samples, num_samples=whole.num_samples - len(left_out))

    undisturbed = [trained.of(epochs[0].number, first, by_batch=by_batch) for by_batch in (False, True)]
    control = due(epochs[0], len(undisturbed[0]) + 1)
    if control.why:
        return not_applicable(f"the order cannot be arranged here: {control.why}")
    begun = [_without_padding(samples, control, most) for samples in undisturbed]
    begins = [bool(samples) and control.samples[: len(samples)] == samples for samples in begun]
    by_batch = not begins[0]
    if by_batch and not begins[1]:
        return not_applicable("before the first restart already, batches were in a different order than the sampler's")
    violations: list[Violation] = []
    num_samples = 0
    for epoch in epochs:
        got = trained.of(epoch.number, run.history.incarnations, by_batch=by_batch)
        wanted = due(epoch, len(got) + 1)
        if wanted.why:
            return not_applicable(f"the order of epoch {epoch.number} cannot be arranged here: {wanted.why}")
        num_samples += len(got)
        violations += _differences(epoch, wanted, got, _without_padding(got, wanted, most), _num_droppable(run, epoch))
    violations = violations or list(_out_of_turn(epochs))
    if violations:
        return failed(violations)
    return passed(f"{counted(num_samples, 'sample')} in {counted(len(epochs), 'epoch')}, in the order of the sampler")


def _out_of_turn(epochs: Sequence[DescribedEpoch]) -> Iterator[Violation]:
    """Samplers count epochs as the job does, or stay at one for ever; the first that does neither, if its order tells."""
    states = [epoch.state or {} for epoch in epochs]
    named = [state["epoch"] for state in states]
    if len(set(named)) == 1 or len({state["fingerprint"]["order"] for state in states}) == 1:
        return
    for epoch, name in zip(epochs, named, strict=True):
        if name - epoch.number != named[0] - epochs[0].number:
            yield Violation(problem=EpochOutOfTurn(epoch=epoch.number, sampler_epoch=name), epoch=epoch.number)
            return


def _differences(
    epoch: DescribedEpoch, wanted: Stream, got: Sequence[Index], found: Sequence[Index], num_droppable: int
) -> Iterator[Violation]:
    problem: Problem | None = _problem(epoch.number, wanted, got, found)
    num_missing = wanted.num_samples - len(found)
    if problem is None and (num_missing < 0 or (epoch.is_over and num_missing > num_droppable)):
        problem = EpochLengthNotDescribed(epoch=epoch.number, num_found=len(found), num_described=wanted.num_samples)
    if problem is None:
        return
    start = problem.position if isinstance(problem, StreamRepeats) else first_difference(wanted.samples, found)
    shown = slice(start or 0, (start or 0) + MAX_INDICES)
    came = got if isinstance(problem, StreamRepeats) else found
    yield Violation(
        problem=problem,
        epoch=epoch.number,
        expected=tuple(wanted.samples[shown]),
        found=tuple(came[shown]),
    )


def _without_padding(got: Sequence[Index], wanted: Stream, most: int) -> list[Index]:
    """What is there beside the samples, `most` of them, that even out the ranks' shares at an epoch's end."""
    if not wanted.repeats:
        return without_repeats(got)
    padding = list(got[wanted.num_samples :])
    is_padding = len(padding) <= most and padding == wanted.samples[: len(padding)]
    return list(got[: wanted.num_samples] if is_padding else got)


def _problem(epoch: int, wanted: Stream, got: Sequence[Index], found: Sequence[Index]) -> Problem | None:
    """What is wrong with the order, as far as it came."""
    if not wanted.repeats:
        return problem_of_order(epoch, wanted.samples[: len(found)], got, len(found))
    start = first_difference(wanted.samples, found[: len(wanted.samples)])
    return None if start in (None, len(found)) else StreamOrderDiffers(epoch=epoch, position=start)


def _num_droppable(run: Run, epoch: DescribedEpoch) -> int:
    """Samples that may miss at an epoch's end, because the loader or the sampler drops its tail."""
    state = epoch.state or {}
    rule = state["stream"]["drop_last"]
    row = max(run.world_sizes) * (state["layout"]["batch_size"] if rule == "global" else 1)
    return max(num_dropped(run), row - 1 if rule else 0)
