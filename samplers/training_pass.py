"""Which of several passes over one sampler is the one that trains."""

from collections.abc import Sequence

from resumable.samplers.candidate import Candidate
from resumable.samplers.epoch_pass import EpochPass
from resumable.samplers.errors import PositionUnknownError
from resumable.samplers.frameworks.drawing import is_asking

_ADVICE = (
    "call commit() after each step, or let go of the iterators that do not train; "
    "set_epoch at the head of the training loop ends what came before it"
)


def training_pass(passes: Sequence[Candidate]) -> EpochPass | None:
    """Return the pass whose position is the sampler's; None if there are none.

    A batch that is drawn to be counted, looked at or evaluated comes out of the same sampler as one that is trained on.
    What the user does with a pass tells them apart, never which one began last:

    - Committed batches were trained on, whatever else was drawn.
    - A pass that began while an earlier one was under way, which then went on, was a look: an evaluation between two
      steps, or a peek. If the earlier one has stood still since, and both still have their iterators, nobody can know.
    - A pass that has ended or was let go, and followed by one that was read to its end, was a look as well, or was started
      again. If the later one was broken off itself, or began while the earlier one was held, it may have been the look.

    Args:
        passes: Passes that have drawn since the position was last set, in the order in which they began to.

    Raises:
        PositionUnknownError: two passes may both be the one; the message shows what to write.
    """
    if len(passes) == 1:
        return passes[0].epoch_pass
    committed = [candidate for candidate in passes if candidate.epoch_pass.is_committed]
    if committed:
        return committed[-1].epoch_pass
    candidates = [candidate for candidate in passes if not candidate.is_look]
    under_way = [candidate for candidate in candidates if candidate.epoch_pass.is_under_way]
    over = [candidate for candidate in candidates if not candidate.epoch_pass.is_under_way]
    if under_way:
        return _first(under_way, over)
    return _last(over) if over else None


def passes_that_matter(passes: Sequence[Candidate]) -> list[Candidate]:
    """Return the passes on which the answer can depend: of those that are over, the last two that are no looks."""
    kept = [candidate for candidate in passes if not candidate.is_look or candidate.epoch_pass.is_committed]
    held = [candidate for candidate in kept if candidate.epoch_pass.is_under_way or candidate.epoch_pass.is_committed]
    over = [candidate for candidate in kept if candidate not in held]
    return [candidate for candidate in kept if candidate not in over[:-2]]


def doubt(current: EpochPass) -> str | None:
    """Return why what was drawn in the pass that trains may not be what was trained on, and what to write; None if it is."""
    stranger = current.stranger
    if stranger is not None and not is_asking(stranger):
        return (
            f"{stranger.co_qualname} draws, and may hold samples back or give them in a different order. Commit the samples "
            "themselves, commit(samples), after each step, or use ResumableBatchSampler"
        )
    if current.is_uncertain:
        return (
            "batches are fetched before they are trained on. Call sampler.commit() after each step, or use "
            "ResumableDataLoader in the training thread"
        )
    return None


def _first(under_way: Sequence[Candidate], over: Sequence[Candidate]) -> EpochPass:
    first, *others = under_way
    # A loop that named the epoch at its head has run since.
    is_left = not first.has_moved_since_set_epoch and any(not candidate.is_before_set_epoch for candidate in over)
    if others or is_left:
        raise PositionUnknownError(
            f"the first pass over this sampler, which has delivered {first.epoch_pass.num_done} samples, still has its "
            f"iterator, but stands still while a later one is drawn: which of them trains? {_ADVICE}"
        )
    return first.epoch_pass


def _last(over: Sequence[Candidate]) -> EpochPass:
    *others, last = [candidate for candidate in over if not candidate.is_before_set_epoch] or over
    place = last.epoch_pass.consumed
    is_sure = last.epoch_pass.ended and not last.began_during_another
    if not is_sure and any(candidate.epoch_pass.consumed != place for candidate in others):
        raise PositionUnknownError(
            f"one pass over this sampler was left at sample {others[-1].epoch_pass.consumed} of the epoch, and a later one "
            f"at sample {place}: which of them trained? {_ADVICE}"
        )
    return last.epoch_pass
