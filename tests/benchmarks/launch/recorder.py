"""What the recorder adds to a batch: `python -m tests.benchmarks.launch.recorder` prints the figures as JSON.

In a process of its own, in which nothing else is watched. Behind it may stand how often each is measured.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch.utils.data import DataLoader, TensorDataset

from resumable.launch.worker.digest import content_digest
from resumable.launch.worker.patching import Patches
from resumable.launch.worker.recorder import Recorder
from resumable.launch.worker.watch.loaders import LoaderWatch

BATCH_SIZE = 36
_LARGE_BATCH_SIZE = 4096
_NUM_BATCHES, _NUM_LARGE = 4000, 64
_NUM_ROUNDS = 9
_DIGEST_BYTES = 1 << 24


def measured(num_rounds: int) -> dict[str, float]:
    """Microseconds for each batch, milliseconds for each MB of content: processor time, the best of a few rounds.

    And bytes of evidence for each large batch.
    """
    data = TensorDataset(torch.zeros(_NUM_BATCHES * BATCH_SIZE, 64))
    plain_us = _batch_us(data, num_rounds)
    with tempfile.TemporaryDirectory() as folder:
        patches = Patches()
        LoaderWatch(Recorder(Path(folder) / "events.jsonl")).install(patches)
        recorded_us = _batch_us(data, num_rounds)
        patches.undo()
        num_bytes = {
            f"bytes_{name}": _batch_bytes(Path(folder) / f"{name}.jsonl", shuffle=name == "shuffled")
            for name in ("sequential", "shuffled")
        }
    content = torch.zeros(_DIGEST_BYTES, dtype=torch.uint8)
    return {
        "batch_size": BATCH_SIZE,
        "plain_us": plain_us,
        "recorded_us": recorded_us,
        "recorder_us": recorded_us - plain_us,
        "large_batch_size": _LARGE_BATCH_SIZE,
        **num_bytes,
        "digest_ms_per_mb": min(_digest_s(content) for _ in range(num_rounds)) * 1000 / (_DIGEST_BYTES / 1e6),
    }


def _batch_us(data: TensorDataset, num_rounds: int) -> float:
    return min(_pass_s(data) for _ in range(num_rounds)) / _NUM_BATCHES * 1e6


def _pass_s(data: TensorDataset) -> float:
    loader = DataLoader(data, batch_size=BATCH_SIZE)
    begin = time.process_time()
    for _ in loader:
        pass
    return time.process_time() - begin


def _batch_bytes(file: Path, *, shuffle: bool) -> float:
    """What a large batch leaves of evidence."""
    patches = Patches()
    LoaderWatch(Recorder(file)).install(patches)
    data = TensorDataset(torch.zeros(_NUM_LARGE * _LARGE_BATCH_SIZE, 1))
    for _ in DataLoader(data, batch_size=_LARGE_BATCH_SIZE, shuffle=shuffle):
        pass
    patches.undo()
    return sum(part.stat().st_size for part in file.parent.glob(f"{file.name}*")) / _NUM_LARGE


def _digest_s(content: torch.Tensor) -> float:
    begin = time.process_time()
    content_digest(content)
    return time.process_time() - begin


if __name__ == "__main__":
    json.dump(measured(int(sys.argv[1]) if sys.argv[1:] else _NUM_ROUNDS), sys.stdout)
    sys.stdout.flush()
    os._exit(0)  # the recorder's file is gone; nothing is to be written at the exit
