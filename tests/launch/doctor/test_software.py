import pytest

from resumable.launch.doctor.finding import Status
from resumable.launch.doctor.probe import Subject
from resumable.launch.doctor.software import judge_torch, torch_version


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("2.13.0+cpu", Status.OK),
        ("2.6.0", Status.OK),
        ("3.0", Status.OK),
        ("2.5.1", Status.FAIL),
        ("1.13.1", Status.FAIL),
        (None, Status.FAIL),
    ],
)
def test_torch_must_be_new_enough(version, expected):
    """Numbers are compared, not text: 2.13 is newer than 2.6."""
    assert expected == judge_torch(version).status


def test_the_installed_torch_is_found(tmp_path):
    """Without importing it."""
    assert torch_version(Subject(nproc_per_node=2, run_dir=tmp_path)).status == Status.OK
