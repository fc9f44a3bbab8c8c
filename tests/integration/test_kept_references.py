"""`verify --reuse-reference`: uninterrupted runs that a later command compares with, and what becomes of old ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.conftest import Finished, run_resumable

JOB = """
import os, sys, torch

data = torch.arange(8.0) * float(open(sys.argv[1]).read())
torch.manual_seed(0)
model = torch.nn.Linear(1, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
begin = 0
if os.path.exists("checkpoint.pt"):
    saved = torch.load("checkpoint.pt")
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    begin = saved["step"]
loader = torch.utils.data.DataLoader(torch.utils.data.Subset(data, range(begin, 8)), batch_size=1)
for step, batch in enumerate(loader, start=begin + 1):
    optimizer.zero_grad()
    model(batch[:, None]).square().mean().backward()
    optimizer.step()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step}, "checkpoint.tmp")
    os.replace("checkpoint.tmp", "checkpoint.pt")
"""


def test_kept_runs_are_compared_with_for_as_long_as_they_hold(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nobody sees that the data has changed: what fails beside kept runs is compared with new ones, made after it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    script, data = tmp_path / "train.py", tmp_path / "data.txt"
    script.write_text(JOB)

    def verified(name: str, scale: int) -> Finished:
        data.write_text(str(scale))
        (tmp_path / name).mkdir()
        words = ("--reuse-reference", "--fault", "sigkill@step=4:rank=0", str(script), str(data))
        return run_resumable(tmp_path / name, "verify", *words)

    finished = [verified(name, scale) for name, scale in (("first", 1), ("changed", 2))]
    assert [(own.exit_code, own.errors) for own in finished] == [(0, "")] * 2, [own.output for own in finished]
    works = [
        [own.run_dir / scenario / "work" / "checkpoint.pt" for scenario in ("reference-1", "faulted")]
        for own in finished
    ]
    assert [reference.stat().st_mtime < faulted.stat().st_mtime for reference, faulted in works] == [True, False]
