"""What the recorder adds to a whole step: `python -m tests.benchmarks.launch.step_cost [cuda]` prints the figures as JSON.

A real loop over a loader, without the recorder and with what it may keep in turns, in one process. Measured is what a step
takes longer, with much noise, and the time within what is called of ours, with little.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from resumable.launch.evidence.run_dir import ScenarioDir
from resumable.launch.system.environment import KEEPS, Keep, RankEnvironment
from resumable.launch.worker.entering.late_recorder import LateRecorder
from resumable.launch.worker.faults.trigger import Trigger
from resumable.launch.worker.patching import Patches, Undo
from resumable.launch.worker.position import Position
from resumable.launch.worker.watching import watch
from tests.launch.lines import START

P = ParamSpec("P")
R = TypeVar("R")
_WIDTH, _DEPTH, _BATCH = 512, 5, 192
_NUM_STEPS, _NUM_LEARNT, _NUM_ROUNDS = 90, 45, 7
"""Steps of a block; how many of them come before the recorder has learnt the loop; blocks of each kind."""


class TimedPatches(Patches):
    """Adds up the time within the functions that are put in place, without that of those which they stand for.

    Left out is what the modules within a model pass through, one of the shortest functions there are. The clock is the one
    that is read fastest: it counts what else the processor does meanwhile.
    """

    def __init__(self) -> None:
        super().__init__()
        self.own_ms = 0.0
        self._is_ours = False

    def wrap_hot(self, owner: Any, name: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Undo:
        """See `Patches`."""
        if owner is nn.Module:
            return super().wrap_hot(owner, name, make)
        return super().wrap_hot(owner, name, lambda original: self._timed(make(self._timed(original, is_ours=False))))

    def hidden(self, function: Callable[P, R]) -> Callable[P, R]:
        """See `Patches`."""
        return self._timed(super().hidden(function))

    def _timed(self, function: Callable[P, R], *, is_ours: bool = True) -> Callable[P, R]:
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            if self._is_ours is is_ours:
                return function(*args, **kwargs)
            begin = time.perf_counter()
            self._is_ours = is_ours
            try:
                return function(*args, **kwargs)
            finally:
                self._is_ours = not is_ours
                spent_ms = (time.perf_counter() - begin) * 1000
                self.own_ms += spent_ms if is_ours else -spent_ms

        return call


def measured(device: str = "cpu") -> dict[str, float]:
    """Milliseconds of a step; for each that may be kept, what is added to it and what is spent within ours, and as shares.

    What is added is the median over blocks, in which steps are medians; what is spent the mean of all steps.

    Args:
        device: Where the model is; a step there ends when all its work is done.
    """
    torch.set_num_threads(1)
    data = TensorDataset(torch.randn(_NUM_STEPS * _BATCH, _WIDTH))
    plain_ms: list[float] = []
    added_ms: dict[Keep, list[float]] = {keep: [] for keep in KEEPS}
    own_ms: dict[Keep, list[float]] = {keep: [] for keep in KEEPS}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(_NUM_ROUNDS):
            for keep, added in added_ms.items():
                plain_ms.append(_step_ms(data, device)[0])
                patches = TimedPatches()
                _watch(Path(folder) / f"{keep}-{number}", patches, keep)
                step_ms, own = _step_ms(data, device, patches)
                added.append(step_ms - plain_ms[-1])
                own_ms[keep].append(own)
                patches.undo()
    step_ms = statistics.median(plain_ms)
    figures: dict[str, float] = {"num_tensors": _DEPTH * (4 + 12 + 3), "step_ms": step_ms}
    for keep in KEEPS:
        for name, value_ms in (
            (keep, statistics.median(added_ms[keep])),
            (f"{keep}_own", statistics.fmean(own_ms[keep])),
        ):
            figures |= {f"{name}_ms": value_ms, f"{name}_share": value_ms / step_ms}
    return figures


def _watch(root: Path, patches: Patches, keep: Keep = "samples") -> None:
    """All that a rank records, without any fault."""
    scenario_dir = ScenarioDir(root=root)
    scenario_dir.create()
    recorder, position = LateRecorder(), Position(None)
    environment = RankEnvironment(
        rank=0, local_rank=0, world_size=1, node=0, node_number=0, incarnation=0, scenario_dir=root
    )

    def trigger(_worker_pids: object) -> Trigger:
        return Trigger(recorder, [], environment=environment, scenario_dir=scenario_dir, position=position)

    watch(recorder, position, trigger, patches, saved_keys=set, digests_content=False, keep=keep)
    recorder.begin(root / "events.jsonl", holds_steps=keep == "quick", **START)


def _step_ms(data: TensorDataset, device: str, patches: TimedPatches | None = None) -> tuple[float, float]:
    """The median of a step, and the mean of what it spends within ours."""
    layers = [nn.Sequential(nn.Linear(_WIDTH, _WIDTH), nn.BatchNorm1d(_WIDTH), nn.ReLU()) for _ in range(_DEPTH)]
    model = nn.Sequential(*layers).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, foreach=True)
    times_ms: list[float] = []
    own_ms: list[float] = []
    begin = _now_ms(device)
    for (x,) in DataLoader(data, batch_size=_BATCH, shuffle=True):
        optimizer.zero_grad()
        model(x.to(device)).square().mean().backward()
        optimizer.step()
        end = _now_ms(device)
        times_ms.append(end - begin)
        own_ms.append(0.0 if patches is None else patches.own_ms)
        begin = end
    learnt_ms = own_ms[_NUM_LEARNT:]
    return statistics.median(times_ms[_NUM_LEARNT:]), (learnt_ms[-1] - learnt_ms[0]) / (len(learnt_ms) - 1)


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
