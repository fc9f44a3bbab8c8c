"""What can be wrong with what a job leaves behind; each class is a code of `results.json`."""

from __future__ import annotations

from resumable.launch.evidence.rank_records import Figure
from resumable.launch.explain.codes.statement import Problem, Reason


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


class SavedFiguresDiffer(Problem, frozen=True, kw_only=True):
    """A file holds other numbers than the uninterrupted run's of the same step: a best value, a count, a history."""

    template = "rank {rank} saved {listed} in {path} after {num_steps:step}"
    kind_by = ("names",)
    rank: int
    num_steps: int
    path: str
    names: tuple[str, ...]
    """Key paths, the first few."""
    found: tuple[Figure | None, ...]
    """What was saved under each; a fingerprint where it is a tensor, "" where it is a list of a very different length."""
    expected: tuple[Figure, ...]
    """What the uninterrupted run has there."""

    def __str__(self) -> str:
        return self.filled(listed=", ".join(map(_compared, self.names, self.found, self.expected)))


def _compared(name: str, found: Figure | None, wanted: Figure) -> str:
    if found is None:
        return f"no {name!r}"
    if found == "":
        return f"more or fewer numbers at {name!r}"
    if isinstance(found, str) and isinstance(wanted, str):
        return f"different numbers under {name!r}"
    return f"{name!r} as {found} instead of {wanted}"


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

    template = "the restart took this step for done"
    remedy = "after a restart, make a save that the stop may have torn again, or look whether it is whole"


class FigureNotRestored(Reason, frozen=True, kw_only=True):
    """Right batches and parameters, and a number that follows from them is wrong."""

    template = "training is right up to there: this number was not gone on from"
    remedy = "save it with the model, and load it too"


class DecisionNotRestored(Reason, frozen=True, kw_only=True):
    """When it saves depends on something that was lost."""

    template = "what decides when it is saved, such as the best value so far, was not restored"
    remedy = "save it with the model, and load it too"
