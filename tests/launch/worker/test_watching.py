"""What is executed of ours with each step of a training loop: the time of a step is mostly the time of that."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Self

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

import resumable.launch
from resumable.launch.system.environment import Keep
from resumable.launch.worker.entering.late_recorder import LateRecorder
from resumable.launch.worker.patching import Patches
from resumable.launch.worker.position import Position
from resumable.launch.worker.watching import watch
from tests.launch.lines import START
from tests.launch.worker.stage import Stage

OURS = str(Path(resumable.launch.__file__).parent)
NUM_UNTIL_LEARNT, NUM_COUNTED, BATCH = 34, 3, 100


class Bytecodes:
    """Counts, while it is entered, the bytecodes that are executed in functions of ours."""

    num = 0

    def __enter__(self) -> Self:
        self._before = sys.gettrace()
        sys._getframe().f_trace_opcodes = True  # or Python 3.12 would not count in the first function that it enters
        sys.settrace(self._enter_function)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _enter_function(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(OURS):
            return None
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        return self._count

    def _count(self, _frame: FrameType, event: str, _argument: Any) -> Any:
        self.num += event == "opcode"
        return self._count


def steps() -> Iterator[None]:
    """A loop in which nothing is out of the ordinary: five layers, 45 tensors of state and buffers."""
    layers = [torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.BatchNorm1d(8), torch.nn.ReLU()) for _ in range(5)]
    model = torch.nn.Sequential(*layers)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    data = TensorDataset(torch.randn((NUM_UNTIL_LEARNT + NUM_COUNTED + 1) * BATCH, 8))
    for (x,) in DataLoader(data, batch_size=BATCH, shuffle=True):
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()
        yield


@pytest.mark.parametrize(("keep", "most"), [("samples", 5100), ("batches", 4900), ("quick", 3300)])
def test_a_step_executes_few_bytecodes_of_ours(
    keep: Keep, most: int, tmp_path: Path, patches: Patches, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step finds none of them in a processor's caches: each function more, and each object, is time."""
    monkeypatch.setattr(time, "monotonic_ns", lambda: 1)  # the second for which lines are held is not over
    recorder, stage = LateRecorder(), Stage(tmp_path)
    recorder.begin(tmp_path / "events.jsonl", holds_steps=keep == "quick", **START)
    watch(recorder, Position(None), lambda _: stage.trigger, patches, saved_keys=set, digests_content=False, keep=keep)
    loop = steps()
    for _ in range(NUM_UNTIL_LEARNT):
        next(loop)
    with Bytecodes() as bytecodes:
        for _ in range(NUM_COUNTED):
            next(loop)
    recorder.close()
    assert 0 < bytecodes.num / NUM_COUNTED <= most
