from collections import namedtuple
from pathlib import Path

import psutil
import pytest

from resumable.launch.doctor import disk
from resumable.launch.doctor.disk import judge_file_system, judge_space, judge_write_speed
from resumable.launch.doctor.finding import Status
from resumable.launch.doctor.probe import Subject

Partition = namedtuple("Partition", "mountpoint fstype")


@pytest.mark.parametrize(("free", "expected"), [(5000, Status.OK), (500, Status.WARN), (50, Status.FAIL)])
def test_a_checkpoint_must_fit(free, expected):
    """Little room is a warning, none a failure."""
    assert expected == judge_space(free_mib=free).status


@pytest.mark.parametrize(
    ("kind", "replaces", "appends", "expected"),
    [
        ("ext4", True, True, Status.OK),
        ("tmpfs", True, True, Status.WARN),
        ("overlay", True, True, Status.WARN),
        ("nfs4", True, True, Status.WARN),
        ("ext4", False, True, Status.FAIL),
        ("nfs", True, False, Status.FAIL),
    ],
)
def test_a_file_system_must_replace_and_append(kind, replaces, appends, expected):
    """What does not last, or is shared, is a warning even if it does both."""
    assert expected == judge_file_system(kind=kind, replaces=replaces, appends=appends).status


@pytest.mark.parametrize(("time_s", "expected"), [(0.1, Status.OK), (0.0, Status.OK), (4.0, Status.WARN)])
def test_a_slow_disk_tears_checkpoints(time_s, expected):
    """16 MiB in four seconds."""
    assert expected == judge_write_speed(written_mib=16, time_s=time_s).status


def test_the_nearest_mount_above_counts(monkeypatch, tmp_path):
    """Not the root's."""
    mounts = [Partition("/", "ext4"), Partition(str(tmp_path), "nfs"), Partition(str(tmp_path / "other"), "tmpfs")]
    monkeypatch.setattr(psutil, "disk_partitions", lambda **_: mounts)
    (tmp_path / "runs").mkdir()
    assert disk._kind_of(tmp_path / "runs") == "nfs"


@pytest.mark.parametrize("probe", [disk.space, disk.file_system, disk.write_speed])
def test_a_run_directory_need_not_be_there(tmp_path, probe):
    """Its nearest folder is examined, and nothing is left in it."""
    finding = probe(Subject(nproc_per_node=2, run_dir=tmp_path / "a/b/c"))
    assert finding.status in set(Status) - {Status.UNKNOWN}
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_that_does_not_replace_is_found_out(tmp_path, monkeypatch):
    """What it does is tried, whatever it is called."""
    monkeypatch.setattr(Path, "replace", lambda _source, _target: None)
    finding = disk.file_system(Subject(nproc_per_node=2, run_dir=tmp_path))
    assert (finding.status, "does not replace" in finding.meaning) == (Status.FAIL, True)


def test_a_place_that_cannot_be_written_fails():
    """The kernel's own file system refuses every new file, even to root."""
    subject = Subject(nproc_per_node=2, run_dir=Path("/proc/self/runs"))
    finding, speed = disk.file_system(subject), disk.write_speed(subject)
    assert (finding.status, "cannot be written (/proc/self: " in finding.meaning) == (Status.FAIL, True)
    assert (speed.status, "cannot be written" in speed.meaning) == (Status.UNKNOWN, True)
