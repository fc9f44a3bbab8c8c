"""Which worker group a process belongs to, and which number the group has in the run directory.

Environment variables number nothing: a scheduler counts its attempts, an agent its own restarts, and both begin again at 0.
The ranks of a group draw a name together, in the store by which they found each other. Its rank 0 then takes the first
number that is free in the run directory: by a file that only one can create, which holds on shared file systems too (NFS
since version 3).
"""

from __future__ import annotations

import itertools
import os
import time
import uuid
from collections.abc import Iterator

import msgspec
from torch.distributed import Store

from resumable.launch.evidence.node_records import RoundStarted, decode_node_line, encode_node_line
from resumable.launch.evidence.run_dir import ScenarioDir
from resumable.launch.system.environment import said_job
from resumable.launch.system.safe_io import read_whole


def draw_group(store: Store | None, rank: int) -> str:
    """The name that all ranks of this process's worker group draw.

    A store may outlive its group: torch's agent gives it to the next one, with what the last one wrote there. A rank that
    finds its own seat taken knows by this that it is not the first of its kind, and looks for the next row.

    Args:
        store: By which the ranks found each other; None: there is nobody else.
        rank: Of this process.
    """
    own = uuid.uuid4().hex
    if store is None:
        return own
    row = 0
    while store.add(f"resumable/{row}/{rank}", 1) > 1:
        row += 1
    return store.compare_set(f"resumable/{row}", "", own).decode()


def claim_number(scenario_dir: ScenarioDir, group: str, world_size: int) -> int:
    """Take the next number in the run directory for a group; rank 0 alone does so.

    Raises:
        OSError: the run directory cannot be written.
    """
    job, attempt = said_job()
    for number in itertools.count(len(scenario_dir.life_files())):
        life = RoundStarted(
            incarnation=number,
            node=0,
            num_nodes=1,
            ranks=list(range(world_size)),
            world_size=world_size,
            time_ns=time.monotonic_ns(),
            group=group,
            time_unix=time.time(),
            job=job,
            attempt=attempt,
        )
        try:
            file = os.open(scenario_dir.life_file(number), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except FileExistsError:
            continue
        os.write(file, encode_node_line(life))
        os.close(file)
        return number
    raise AssertionError


def earlier_groups(scenario_dir: ScenarioDir, group: str) -> Iterator[str]:
    """The groups that have a number, but for this one, in the order of their numbers."""
    for file in scenario_dir.life_files():
        try:
            life = decode_node_line(read_whole(file).rstrip(b"\n"))
        except (OSError, msgspec.DecodeError):  # its rank 0 died between the name and the line
            continue
        if isinstance(life, RoundStarted) and life.group != group:
            yield life.group
