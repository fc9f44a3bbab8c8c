"""How checks point at the place where a process went on."""

from __future__ import annotations

from resumable.launch.reading.lives import Life
from resumable.launch.reading.outcome import Violation


def at_resume(life: Life, sentence: str, explanation: str = "") -> Violation:
    """That something is wrong with the first step of a process, which has done at least one.

    Args:
        life: The process.
        sentence: What is wrong.
        explanation: Why, where that is known.
    """
    return Violation(
        sentence=sentence,
        explanation=explanation,
        rank=life.rank,
        incarnation=life.incarnation,
        step=life.first_step,
        file=life.trajectory.process.file,
        line=life.steps[0].line,
    )
