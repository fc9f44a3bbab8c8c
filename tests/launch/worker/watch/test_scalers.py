"""What gradient scalers do to losses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from resumable.launch.worker.patching import Patches
from resumable.launch.worker.watch.scalers import ScalerWatch


@pytest.fixture
def watch() -> Iterator[ScalerWatch]:
    """One that sees all scalers of this process."""
    patches = Patches()
    watch = ScalerWatch(lambda: 0, lambda: None)
    watch.install(patches)
    yield watch
    patches.undo()


def test_a_scaled_loss_is_known_by_itself(watch: ScalerWatch) -> None:
    """And no other tensor, whatever it is equal to: a job may have a loss that no scaler has seen."""
    loss = torch.tensor(0.5, requires_grad=True)
    scaled = torch.amp.GradScaler("cpu", init_scale=8.0).scale(loss)
    assert [watch.scale_of(one) for one in (scaled, loss, scaled.clone(), None)] == [8.0, None, None, None]


def test_a_scaler_that_is_off_scales_nothing(watch: ScalerWatch) -> None:
    """It hands the loss back."""
    loss = torch.tensor(0.5, requires_grad=True)
    assert watch.scale_of(torch.amp.GradScaler("cpu", enabled=False).scale(loss)) is None
