"""What can be wrong with what a job leaves behind; each class is a code of `results.json`."""

from __future__ import annotations

from resumable.launch.explain.problems import Problem
from resumable.launch.explain.reasons import Reason


class SavedKeysMissing(Problem, frozen=True, kw_only=True):
    """A file lacks a part that the uninterrupted run's of the same step has."""

    template = (
        "rank {rank} saved {path} after {num_steps:step} without {listed}, which the uninterrupted run saves in it"
    )
    kind_by = ("keys",)
    rank: int
    num_steps: int
    path: str
    keys: tuple[str, ...]

    def __str__(self) -> str:
        return self.filled(listed=", ".join(map(repr, self.keys)))


class SaveMissing(Problem, frozen=True, kw_only=True):
    """The uninterrupted run saves something there, and the run did not."""

    template = "rank {rank} did not save {path} after {num_steps:step}, as the uninterrupted run does"
    rank: int
    num_steps: int
    path: str


class SaveNeverFinished(Problem, frozen=True, kw_only=True):
    """A save was begun, and nobody brought it to its end or made it again."""

    template = "rank {rank} began to save {path} after {num_steps:step}, and nobody ever finished that"
    rank: int
    num_steps: int
    path: str


class SavedOutOfTurn(Problem, frozen=True, kw_only=True):
    """A file was overwritten at a step at which the uninterrupted run left it alone."""

    template = "rank {rank} saved {path} after {num_steps:step}, where the uninterrupted run left it alone"
    rank: int
    num_steps: int
    path: str


class SaveNotMadeUp(Reason, frozen=True, kw_only=True):
    """The restart took the step for done, and what belongs to it too."""

    template = "the restart took this step for done: a save that a stop may have torn must be made again, or looked at"


class DecisionNotRestored(Reason, frozen=True, kw_only=True):
    """When it saves depends on something that was lost."""

    template = "is what decides when it is saved, such as the best value so far, saved and loaded?"
