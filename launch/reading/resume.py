"""Where a process went on after a restart, as the evidence tells.

The parameters say it best: the first step after the restart starts from parameters that the job had before a certain
step, and no knowledge of the checkpoint's format is needed. Where that is ambiguous (learning rate 0) or not known, the
checkpoint that was loaded says it; where that is not known either, the sequence itself must be the rest of the expected
one, from a batch at or before the first that was lost. Parameters that nobody had trained yet tell nothing, if the process
loaded a checkpoint and trains on the batches that follow it: all but the model was restored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from resumable.launch.reading.steps import Steps

How = Literal["parameters", "checkpoint", "sequence", "unknown"]


class ResumePoint(msgspec.Struct, frozen=True, kw_only=True):
    """How many steps, counted since training began, the first step of a process builds on."""

    step: int
    how: How
    """What told it. unknown: nothing did, and `step` supposes that no work was lost."""


class Clues(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about the job when one of its processes begins to train again."""

    same_parameters: Sequence[int]
    """After how many steps the job had the parameters that the process began with, in order; none if they are not known."""
    checkpoint: int | None
    """Steps in the checkpoint that the process loaded."""
    expected: Steps
    """What the rank would train on without a stop."""
    num_done: int
    """Steps that the rank had done when it was stopped."""


def find_resume_point(steps: Steps, clues: Clues) -> ResumePoint:
    """The resume point of a process that did `steps`, at least one."""
    candidates = () if _has_new_model(steps, clues) else clues.same_parameters
    if len(candidates) == 1:
        return ResumePoint(step=candidates[0], how="parameters")
    if clues.checkpoint is not None and (not candidates or clues.checkpoint in candidates):
        return ResumePoint(step=clues.checkpoint, how="checkpoint")
    fitting = _continuations(steps, clues, candidates or range(clues.num_done + 1))
    if fitting:
        return ResumePoint(step=fitting[-1], how="sequence")
    if candidates:
        reachable = [step for step in candidates if step <= clues.num_done]
        return ResumePoint(step=(reachable or candidates)[-1], how="parameters")
    return ResumePoint(step=clues.num_done, how="unknown")


def _has_new_model(steps: Steps, clues: Clues) -> bool:
    """Whether a process goes on behind its checkpoint with the parameters with which the job had begun."""
    if not clues.checkpoint or not clues.same_parameters or max(clues.same_parameters) > 0:
        return False
    return bool(_continuations(steps, clues, [clues.checkpoint]))


def _continuations(steps: Steps, clues: Clues, candidates: Sequence[int]) -> list[int]:
    """Those candidates from which the expected sequence goes on exactly as `steps` do."""
    found, expected = steps.column("keys"), clues.expected.column("keys")
    return [
        first
        for first in candidates
        if first < len(expected) and expected[first] == found[0] and expected[first : first + len(found)] == found
    ]
