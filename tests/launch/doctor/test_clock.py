import pytest

from resumable.launch.doctor.clock import clock, judge_clock
from resumable.launch.doctor.finding import Status
from resumable.launch.doctor.probe import Subject


@pytest.mark.parametrize(
    ("readings", "drift_s", "expected"),
    [
        ([0, 0, 50, 100], 0.0, Status.OK),
        ([0, 50, 40], 0.0, Status.FAIL),
        ([0, 0, 4_000_000, 8_000_000], 0.0, Status.WARN),
        ([0, 0, 0], 0.0, Status.WARN),
        ([0, 50], 0.3, Status.WARN),
        ([0, 50], -0.3, Status.WARN),
    ],
)
def test_a_clock_goes_forward_in_small_steps(readings, drift_s, expected):
    """Back is a failure; coarse steps, or a wall clock that is being set, are a warning."""
    assert expected == judge_clock(readings_ns=readings, drift_s=drift_s).status


def test_what_one_machine_cannot_know_is_said():
    """The skew between nodes is never called good."""
    assert "skew between nodes cannot be seen" in judge_clock(readings_ns=[0, 1], drift_s=0.0).meaning


def test_the_probe_reads_this_machine(tmp_path):
    """A clock that steps back would break every test here."""
    assert clock(Subject(nproc_per_node=2, run_dir=tmp_path)).status in (Status.OK, Status.WARN)
