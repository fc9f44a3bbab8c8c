"""What the recorder adds to a whole step: `python -m tests.benchmarks.launch.step_cost [cuda]` prints the figures as JSON.

A real loop over a loader, without the recorder and with what it may keep in turns, in one process.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from resumable.launch.evidence.run_dir import ScenarioDir
from resumable.launch.system.environment import KEEPS, Keep, RankEnvironment
from resumable.launch.worker.faults.trigger import Trigger
from resumable.launch.worker.patching import Patches
from resumable.launch.worker.position import Position
from resumable.launch.worker.recorder import Recorder
from resumable.launch.worker.watching import watch

_WIDTH, _DEPTH, _BATCH = 512, 5, 192
_NUM_STEPS, _NUM_LEARNT, _NUM_ROUNDS = 90, 45, 7
"""Steps of a block; how many of them come before the recorder has learnt the loop; blocks of each kind."""


def measured(device: str = "cpu") -> dict[str, float]:
    """Milliseconds of a step, what is added to it for each that may be kept, and that as a share of the step.

    Medians over blocks, in which steps are medians.

    Args:
        device: Where the model is; a step there ends when all its work is done.
    """
    torch.set_num_threads(1)
    data = TensorDataset(torch.randn(_NUM_STEPS * _BATCH, _WIDTH))
    plain_ms: list[float] = []
    added_ms: dict[Keep, list[float]] = {keep: [] for keep in KEEPS}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(_NUM_ROUNDS):
            for keep, added in added_ms.items():
                plain_ms.append(_step_ms(data, device))
                patches = Patches()
                _watch(Path(folder) / f"{keep}-{number}", patches, keep)
                added.append(_step_ms(data, device) - plain_ms[-1])
                patches.undo()
    step_ms = statistics.median(plain_ms)
    medians = {keep: statistics.median(added) for keep, added in added_ms.items()}
    return {
        "num_tensors": _DEPTH * (4 + 12 + 3),
        "step_ms": step_ms,
        **{f"{keep}_ms": added for keep, added in medians.items()},
        **{f"{keep}_share": added / step_ms for keep, added in medians.items()},
    }


def _watch(root: Path, patches: Patches, keep: Keep = "samples") -> None:
    """All that a rank records, without any fault."""
    scenario_dir = ScenarioDir(root=root)
    scenario_dir.create()
    recorder, position = Recorder(root / "events.jsonl"), Position(None)
    environment = RankEnvironment(
        rank=0, local_rank=0, world_size=1, node=0, node_number=0, incarnation=0, scenario_dir=root
    )

    def trigger(_worker_pids: object) -> Trigger:
        return Trigger(recorder, [], environment=environment, scenario_dir=scenario_dir, position=position)

    watch(recorder, position, trigger, patches, saved_keys=set, digests_content=False, keep=keep)


def _step_ms(data: TensorDataset, device: str) -> float:
    layers = [nn.Sequential(nn.Linear(_WIDTH, _WIDTH), nn.BatchNorm1d(_WIDTH), nn.ReLU()) for _ in range(_DEPTH)]
    model = nn.Sequential(*layers).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, foreach=True)
    times_ms: list[float] = []
    begin = _now_ms(device)
    for (x,) in DataLoader(data, batch_size=_BATCH, shuffle=True):
        optimizer.zero_grad()
        model(x.to(device)).square().mean().backward()
        optimizer.step()
        end = _now_ms(device)
        times_ms.append(end - begin)
        begin = end
    return statistics.median(times_ms[_NUM_LEARNT:])


def _now_ms(device: str) -> float:
    """Time of this thread's processor; of the clock where a device works beside it."""
    if device == "cpu":
        return time.thread_time() * 1000
    torch.cuda.synchronize()
    return time.perf_counter() * 1000


if __name__ == "__main__":
    json.dump(measured(*sys.argv[1:]), sys.stdout)
    sys.stdout.flush()
    os._exit(0)  # the recorder's file is gone; nothing is to be written at the exit
