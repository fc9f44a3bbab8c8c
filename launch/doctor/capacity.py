"""Is there enough of everything that ranks share: cores, memory, shared memory, open files."""

from __future__ import annotations

import os
import resource
import shutil
from pathlib import Path

import psutil

from resumable.launch.doctor.finding import Finding, fail, ok, warn
from resumable.launch.doctor.probe import Subject

MIB = 1 << 20
RANK_MIB = 350
"""What a rank takes before it has a model: Python and torch, started as a process of its own."""
SHM_MIB_PER_RANK = 128
"""Room for what two loader workers read ahead: four batches of 32 MiB."""
DOCKER_SHM_MIB = 64
FILES_PER_RANK = 128
"""Pipes, logs and stores of a rank at its node, and its share of the connections between all ranks."""
FEW_FILES = 1024

_CGROUP = Path("/sys/fs/cgroup")
_SHM = Path("/dev/shm")


def cores(subject: Subject) -> Finding:
    """Has each rank a core?"""
    return judge_cores(
        num_cores=len(os.sched_getaffinity(0)), quota=_cpu_quota(), nproc_per_node=subject.nproc_per_node
    )


def judge_cores(*, num_cores: int, quota: float | None, nproc_per_node: int) -> Finding:
    """Decide from the cores that this process may use and a container's quota of cores (None: no quota)."""
    usable = num_cores if quota is None else min(num_cores, quota)
    measured = f"{usable:g} {'core' if usable == 1 else 'cores'} for {nproc_per_node} ranks"
    if usable < nproc_per_node:
        meaning = f"{measured}: they take turns, so restarts are slow and short timeouts can pass"
        return warn("cores", meaning, f"--nproc-per-node {max(1, int(usable))}, or longer timeouts")
    return ok("cores", measured)


def memory(subject: Subject) -> Finding:
    """Is there memory for the ranks before they have a model?"""
    available = psutil.virtual_memory().available // MIB
    return judge_memory(available_mib=available, limit_mib=_memory_left(), nproc_per_node=subject.nproc_per_node)


def judge_memory(*, available_mib: int, limit_mib: int | None, nproc_per_node: int) -> Finding:
    """Decide from what the machine has left and what a container's limit leaves (None: no limit)."""
    usable = available_mib if limit_mib is None else min(available_mib, limit_mib)
    needed = RANK_MIB * nproc_per_node
    measured = f"{usable} MiB free, {needed} MiB for {nproc_per_node} ranks before they have a model"
    if usable < needed:
        return fail("memory", f"{measured}: the kernel will kill them", "fewer ranks, or more memory for the container")
    if usable < 2 * needed:
        return warn("memory", f"{measured}: old and new ranks overlap in a restart", "fewer ranks, or more memory")
    return ok("memory", measured)


def shared_memory(subject: Subject) -> Finding:
    """Can loader workers hand their batches over?"""
    if not _SHM.is_dir():
        return judge_shared_memory(total_mib=None, free_mib=0, nproc_per_node=subject.nproc_per_node)
    usage = shutil.disk_usage(_SHM)
    free_mib = usage.free // MIB if os.access(_SHM, os.W_OK) else 0
    return judge_shared_memory(total_mib=usage.total // MIB, free_mib=free_mib, nproc_per_node=subject.nproc_per_node)


def judge_shared_memory(*, total_mib: int | None, free_mib: int, nproc_per_node: int) -> Finding:
    """Decide from the size of /dev/shm (None: it is not there) and what is free of it."""
    fix = "docker run --shm-size=2g (or --ipc=host); mount -o remount,size=2g /dev/shm; or num_workers=0"
    if total_mib is None or free_mib == 0:
        return fail("shared memory", "/dev/shm cannot be written: a DataLoader with workers fails", fix)
    measured = f"/dev/shm: {free_mib} of {total_mib} MiB free"
    if total_mib <= DOCKER_SHM_MIB:
        return warn("shared memory", f"{measured}, docker's default: loader workers die with a bus error", fix)
    if free_mib < SHM_MIB_PER_RANK * nproc_per_node:
        meaning = (
            f"{measured}, little for the workers of {nproc_per_node} ranks: killed ranks may have left files there"
        )
        return warn("shared memory", meaning, f"look for leftovers with `ls -l /dev/shm`; {fix}")
    return ok("shared memory", measured)


def open_files(subject: Subject) -> Finding:
    """How many files may a process open?"""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return judge_open_files(soft=soft, hard=hard, nproc_per_node=subject.nproc_per_node)


def judge_open_files(*, soft: int, hard: int, nproc_per_node: int) -> Finding:
    """Decide from the limits of one process; a negative one is none."""
    needed = FEW_FILES // 4 + FILES_PER_RANK * nproc_per_node
    if soft < 0:
        return ok("open files", "no limit")
    who = f"ulimit -n {max(4096, needed)}" + ("" if hard < 0 or hard >= needed else ", which root has to allow first")
    if soft < needed:
        return fail("open files", f"{soft} a process, {needed} for {nproc_per_node} ranks: `Too many open files`", who)
    if soft < FEW_FILES:
        return warn("open files", f"{soft} a process: loader workers that share by file descriptor run out", who)
    return ok("open files", f"{soft} a process")


def _cpu_quota() -> float | None:
    """Cores that the container may use (cgroup v2); None if nothing limits them."""
    try:
        quota, period = (_CGROUP / "cpu.max").read_text().split()
        return int(quota) / int(period)
    except (OSError, ValueError):  # no such file, or the word `max`
        return None


def _memory_left() -> int | None:
    """MiB that the container's limit leaves, its page cache counted as free; None if nothing limits it."""
    try:
        limit = int((_CGROUP / "memory.max").read_text())
        current = int((_CGROUP / "memory.current").read_text())
        stat = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())
        return (limit - current + int(stat.get("inactive_file", 0))) // MIB
    except (OSError, ValueError):  # no such file, or the word `max`
        return None
