from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

PROGRAM = """
import sys
import resumable.launch.worker.forkserver.preload
import torch, torch.distributed as dist
before = set(sys.modules)
dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(2, 1))
optimizer = torch.optim.AdamW(model.parameters())
model(torch.ones(1, 2)).sum().backward()
optimizer.step()
print(sorted({name.partition(".")[0] for name in set(sys.modules) - before}))
print(sorted(name for name in set(sys.modules) - before if name.startswith(("torch._dynamo", "torch._inductor", "sympy"))))
"""


def test_a_training_step_under_ddp_imports_nothing_heavy_any_more() -> None:
    """What DDP and the optimizers import late is in the fork server already: a rank would pay seconds for it."""
    printed = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=120)
    packages, heavy = printed.stdout.splitlines()
    assert heavy == "[]"
    assert "sympy" not in packages


KNOWN = """
import resumable.launch.worker.forkserver.preload
from resumable.launch.worker.fingerprint.keys import place_keys
print(place_keys.cache_info().currsize)
"""


def test_what_the_first_state_needs_is_worked_out_for_all_ranks() -> None:
    """A rank finds the table of keys that each sum needs."""
    printed = subprocess.run([sys.executable, "-c", KNOWN], capture_output=True, text=True, check=True, timeout=120)
    assert printed.stdout.splitlines() == ["1"]


FROZEN = """
import gc, weakref
class Node: pass
def leave(): print("a finalizer ran")
import resumable.launch.worker.forkserver.preload
kept = Node()
weakref.finalize(kept, leave)
print(gc.isenabled())
import resumable.launch.worker.forkserver.freeze
print(gc.isenabled(), gc.get_freeze_count() > 100_000, len(gc.get_objects()) < 10_000)
"""


def test_what_the_fork_server_has_imported_is_left_alone_by_its_ranks() -> None:
    """No collector looks at it and no finalizer of it runs when a rank ends; later objects are collected as ever."""
    printed = subprocess.run([sys.executable, "-c", FROZEN], capture_output=True, text=True, check=True, timeout=120)
    assert printed.stdout.splitlines() == ["False", "True True True"]
