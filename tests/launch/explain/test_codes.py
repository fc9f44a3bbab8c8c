from pathlib import Path

import pytest

from resumable.launch.explain import codes
from resumable.launch.explain.codes.references import ReferenceFailed
from resumable.launch.explain.codes.statement import Reason


def test_every_module_of_codes_is_known_to_who_reads_results():
    """A code whose module nobody imports could be written, and not be read again."""
    folder = Path(codes.__file__).parent
    expected = {file.stem for file in folder.glob("*.py")} - {"__init__", "statement"}
    assert expected == set(codes.__all__)


def test_whoever_is_accused_is_told_what_to_do():
    """Of every reason why batches or state are not as they should be, but that they follow from what was told already."""
    subjects = ("epoch_reasons", "order_reasons", "place_reasons", "share_reasons", "state_reasons")
    silent = {
        kind.__name__
        for kind in Reason.__subclasses__()
        if kind.__module__.endswith(subjects) and not kind.remedy and "advice" not in vars(kind)
    }
    assert silent == {"FollowsFromBatches", "FollowsFromParameters", "FollowsFromRank"}


@pytest.mark.parametrize(("path", "is_advised"), [("data/train.bin", True), ("/data/train.bin", False)])
def test_a_job_that_misses_its_data_is_told_where_it_runs(path: str, is_advised: bool) -> None:
    """It looked where it was started, which is nowhere in the repository."""
    failure = ReferenceFailed(
        run="reference-1",
        rank=0,
        error="builtins.FileNotFoundError",
        message=f"FileNotFoundError: [Errno 2] No such file or directory: '{path}'",
        log="err",
    )
    assert is_advised is ("absolute paths" in failure.advice)
