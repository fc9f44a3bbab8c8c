import pytest

from resumable.launch.doctor import capacity
from resumable.launch.doctor.capacity import judge_cores, judge_memory, judge_open_files, judge_shared_memory
from resumable.launch.doctor.finding import Status
from resumable.launch.doctor.probe import Subject


@pytest.mark.parametrize(
    ("num_cores", "quota", "nproc", "expected"),
    [(8, None, 8, Status.OK), (8, None, 9, Status.WARN), (8, 1.5, 2, Status.WARN), (2, 4.0, 2, Status.OK)],
)
def test_each_rank_wants_a_core(num_cores, quota, nproc, expected):
    """The smaller of the machine's cores and the container's quota counts."""
    assert expected == judge_cores(num_cores=num_cores, quota=quota, nproc_per_node=nproc).status


@pytest.mark.parametrize(
    ("available", "limit", "expected"),
    [
        (10_000, None, Status.OK),
        (1_000, None, Status.WARN),
        (500, None, Status.FAIL),
        (10_000, 500, Status.FAIL),
        (500, 10_000, Status.FAIL),
    ],
)
def test_ranks_want_memory_before_they_have_a_model(available, limit, expected):
    """The smaller of what the machine has and what the container may use counts."""
    assert expected == judge_memory(available_mib=available, limit_mib=limit, nproc_per_node=2).status


@pytest.mark.parametrize(
    ("total", "free", "expected"),
    [
        (8_000, 8_000, Status.OK),
        (64, 64, Status.WARN),
        (8_000, 100, Status.WARN),
        (8_000, 0, Status.FAIL),
        (None, 0, Status.FAIL),
    ],
)
def test_loader_workers_want_shared_memory(total, free, expected):
    """Docker's 64 MiB are a warning, none at all is a failure."""
    assert expected == judge_shared_memory(total_mib=total, free_mib=free, nproc_per_node=2).status


@pytest.mark.parametrize(
    ("soft", "hard", "nproc", "expected"),
    [
        (-1, -1, 64, Status.OK),
        (1024, 4096, 2, Status.OK),
        (600, 4096, 2, Status.WARN),
        (256, 4096, 2, Status.FAIL),
        (1024, 1024, 64, Status.FAIL),
    ],
)
def test_many_ranks_open_many_files(soft, hard, nproc, expected):
    """A limit that the ranks will reach fails; a small one warns."""
    assert expected == judge_open_files(soft=soft, hard=hard, nproc_per_node=nproc).status


def test_a_hard_limit_is_told_apart():
    """A user cannot raise it alone."""
    fixes = [judge_open_files(soft=256, hard=hard, nproc_per_node=2).fix for hard in (256, 65536)]
    assert ["root" in fix for fix in fixes] == [True, False]


@pytest.mark.parametrize(
    ("content", "expected"),
    [("max 100000\n", None), ("150000 100000\n", 1.5), ("", None), (None, None)],
)
def test_a_container_s_quota_is_read(tmp_path, monkeypatch, content, expected):
    """`max`, a broken and a missing file are no quota."""
    monkeypatch.setattr(capacity, "_CGROUP", tmp_path if content is not None else tmp_path / "none")
    (tmp_path / "cpu.max").write_text(content or "")
    assert expected == capacity._cpu_quota()


@pytest.mark.parametrize(("limit", "expected"), [("max", None), (str(900 << 20), 700), ("broken", None)])
def test_a_container_s_memory_limit_is_read(tmp_path, monkeypatch, limit, expected):
    """Its page cache can be given back and counts as free."""
    monkeypatch.setattr(capacity, "_CGROUP", tmp_path)
    (tmp_path / "memory.max").write_text(limit)
    (tmp_path / "memory.current").write_text(str(300 << 20))
    (tmp_path / "memory.stat").write_text(f"anon 1\ninactive_file {100 << 20}\n")
    assert expected == capacity._memory_left()


def test_a_machine_without_shared_memory_fails(tmp_path, monkeypatch):
    """As in a bare chroot."""
    monkeypatch.setattr(capacity, "_SHM", tmp_path / "none")
    assert capacity.shared_memory(Subject(nproc_per_node=2, run_dir=tmp_path)).status == Status.FAIL


@pytest.mark.parametrize("probe", [capacity.cores, capacity.memory, capacity.shared_memory, capacity.open_files])
def test_each_probe_reads_this_machine(tmp_path, probe):
    """No machine has enough for a hundred million ranks; any has a number to show."""
    crowd = probe(Subject(nproc_per_node=100_000_000, run_dir=tmp_path))
    assert crowd.status in (Status.WARN, Status.FAIL)
