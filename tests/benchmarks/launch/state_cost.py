"""What fingerprints add to a step: `python -m tests.benchmarks.launch.state_cost` prints the figures as JSON.

Both shares are of one run, processor time of the same thread: of the step itself, and of what is recorded with it.
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
from typing import Any

import torch
from torch import nn

from resumable.launch.evidence.rank_records import Batch
from resumable.launch.worker.patching import Patches
from resumable.launch.worker.position import Position
from resumable.launch.worker.recorder import Recorder
from resumable.launch.worker.watch.forwards import ForwardWatch
from resumable.launch.worker.watch.state import StateWatch
from resumable.launch.worker.watch.training import TrainingWatch

_WIDTH, _DEPTH, _BATCH, _NUM_STEPS = 512, 5, 192, 120


class Timed:
    """Adds up the processor time of the calls of a function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self.times_ms: list[float] = []

    def __call__(self, *arguments: Any) -> Any:
        begin = time.thread_time()
        try:
            return self._function(*arguments)
        finally:
            self.times_ms.append((time.thread_time() - begin) * 1000)


def measured() -> dict[str, float]:
    """Milliseconds of a step, of its fingerprints, and their share: medians."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        patches = Patches()
        recorder = Recorder(Path(folder) / "events.jsonl")
        state = StateWatch(recorder)
        training = TrainingWatch(recorder, Position(None), ForwardWatch(recorder), state)
        for watch in (state, training):
            watch.install(patches)
        fingerprints = Timed(state.after_step)
        state.after_step = fingerprints  # type: ignore[method-assign]
        recorder.observe(training._position.follow)
        recorder.observe(state.observe)
        recorder.observe(training.observe)
        steps_ms = _train(recorder)
        patches.undo()
    step_ms, added_ms = statistics.median(steps_ms[20:]), statistics.median(fingerprints.times_ms[20:])
    return {
        "num_tensors": _DEPTH * (4 + 12 + 3),
        "step_ms": step_ms,
        "fingerprints_ms": added_ms,
        "share": added_ms / (step_ms - added_ms),
    }


def _train(recorder: Recorder) -> list[float]:
    layers = [nn.Sequential(nn.Linear(_WIDTH, _WIDTH), nn.BatchNorm1d(_WIDTH), nn.ReLU()) for _ in range(_DEPTH)]
    model = nn.Sequential(*layers)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, foreach=True)
    x = torch.randn(_BATCH, _WIDTH)
    times_ms: list[float] = []
    for number in range(_NUM_STEPS):
        begin = time.thread_time()
        recorder.emit(Batch, loader=0, epoch=0, batch=number, indices=list(range(_BATCH)))
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()
        times_ms.append((time.thread_time() - begin) * 1000)
    return times_ms


if __name__ == "__main__":
    json.dump(measured(), sys.stdout)
    sys.stdout.flush()
    os._exit(0)  # the recorder's file is gone; nothing is to be written at the exit
