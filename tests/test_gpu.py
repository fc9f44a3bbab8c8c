from __future__ import annotations

import pytest
import torch

from tests import gpu


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU: `make gpu` uses it")
def test_where_there_is_no_gpu_it_says_so_and_ends_well(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody takes silence for a proof."""
    assert gpu.main([]) == 0
    assert "NOTHING OF THIS WAS RUN" in capsys.readouterr().out
