from __future__ import annotations

import pytest
import torch
from torch import nn

from resumable.launch.worker.patching import Patches
from resumable.launch.worker.watch.buffers import BufferWatch


class Meter(nn.Module):
    """Counts what it has seen, and is trained by nobody."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("total", torch.zeros(1))


@pytest.fixture
def watch(patches: Patches) -> BufferWatch:
    watch = BufferWatch()
    watch.install(patches)
    return watch


def digest_after(watch: BufferWatch, model: nn.Module, change: torch.Tensor) -> tuple[str | None, str | None]:
    """The digest before and after a buffer is changed in place."""
    before = watch.state(model.parameters())
    change += 1
    return before, watch.state(model.parameters())


def test_running_statistics_of_a_trained_module_count(watch: BufferWatch) -> None:
    """Whatever changes one of them changes the digest."""
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    before, after = digest_after(watch, model, model[1].running_mean)
    assert before is not None
    assert before != after


def test_what_a_meter_counts_does_not(watch: BufferWatch) -> None:
    """No optimizer holds parameters of its module."""
    model, meter = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)), Meter()
    before, after = digest_after(watch, model, meter.total)
    assert before == after


def test_what_no_checkpoint_holds_does_not(watch: BufferWatch) -> None:
    """A table that is computed anew, for example."""
    model = nn.Linear(4, 4)
    model.register_buffer("table", torch.zeros(1), persistent=False)
    assert digest_after(watch, model, model.table) == (None, None)


def test_a_module_that_is_gone_is_forgotten(watch: BufferWatch) -> None:
    """Nobody keeps it alive."""
    model = nn.BatchNorm1d(4)
    parameters = list(model.parameters())
    del model
    assert watch.state(parameters) is None
