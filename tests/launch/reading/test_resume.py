import pytest

from resumable.launch.evidence.rank_records import Step
from resumable.launch.reading.resume import Clues, ResumePoint, find_resume_point
from resumable.launch.reading.steps import Steps
from resumable.launch.reading.trained import TrainedBatch, TrainedStep


def steps(numbers: list[int], before: str | None = None) -> Steps:
    """One batch a step, known by one index."""
    batches = [TrainedBatch(loader=0, epoch=0, batch=n, key=(n,), line=n + 1) for n in numbers]
    return Steps.of(
        TrainedStep(batches=(batch,), record=Step(sequence=0, time_ns=0, step=0, before=before if place == 0 else None))
        for place, batch in enumerate(batches)
    )


PLACES: dict[str | None, tuple[int, ...]] = {"three": (3,), "flat": (2, 3, 4), "new": (0,)}
EXPECTED = steps(list(range(10)))


@pytest.mark.parametrize(
    ("found", "checkpoint", "expected"),
    [
        pytest.param(steps([3, 4], "three"), 5, (3, "parameters"), id="parameters say it best"),
        pytest.param(steps([9, 4], "three"), None, (3, "parameters"), id="whatever the batches are"),
        pytest.param(steps([3, 4], "flat"), 2, (2, "checkpoint"), id="a checkpoint tells equal parameters apart"),
        pytest.param(steps([3, 4], "flat"), 7, (3, "sequence"), id="unless it is none of them"),
        pytest.param(steps([9, 9], "flat"), None, (4, "parameters"), id="equal parameters and strange batches"),
        pytest.param(steps([3, 4], "never seen"), 5, (5, "checkpoint"), id="parameters that nobody had"),
        pytest.param(steps([5, 6], "new"), 5, (5, "checkpoint"), id="all but the model goes on behind the checkpoint"),
        pytest.param(steps([0, 1], "new"), 5, (0, "parameters"), id="everything from scratch, whatever was loaded"),
        pytest.param(steps([5, 6], "new"), None, (0, "parameters"), id="new parameters, and nothing was loaded"),
        pytest.param(steps([5, 6], "three"), 5, (3, "parameters"), id="parameters of an earlier checkpoint"),
        pytest.param(steps([3, 4]), 5, (5, "checkpoint"), id="no digest"),
        pytest.param(steps([3, 4, 5]), None, (3, "sequence"), id="neither"),
        pytest.param(steps([7, 8]), None, (6, "unknown"), id="beyond what was lost"),
        pytest.param(steps([3, 5]), None, (6, "unknown"), id="nothing fits"),
    ],
)
def test_the_resume_point_follows_from_the_best_clue(found, checkpoint, expected):
    """Parameters first, then the checkpoint, then the sequence."""
    same = PLACES.get(found[0].before, ())
    clues = Clues(same_parameters=same, checkpoint=checkpoint, expected=EXPECTED, num_done=6)
    assert ResumePoint(step=expected[0], how=expected[1]) == find_resume_point(found, clues)
