from __future__ import annotations

import os
from pathlib import Path

import pytest

from resumable.launch.system.environment import Recording, recording


def test_what_a_command_is_told_of_its_record_its_ranks_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever the caller's own variables say."""
    monkeypatch.setenv("RESUMABLE_KEEP", "samples")
    told = Recording(run_dir=tmp_path, scenario="faulted", keep="batches")
    for name, value in told.environment(site=Path("/site")).items():
        monkeypatch.setenv(name, value)
    assert (recording(), os.environ["PYTHONPATH"].split(os.pathsep)[0]) == (told, "/site")


@pytest.mark.parametrize(
    ("said", "keep"),
    [("batches", "batches"), ("quick", "quick"), ("samples", "samples"), ("", "samples"), ("x", "samples")],
)
def test_the_variable_alone_says_what_is_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str, keep: str
) -> None:
    """What it does not know leaves nothing out."""
    monkeypatch.setenv("RESUMABLE_RECORD", str(tmp_path))
    monkeypatch.setenv("RESUMABLE_KEEP", said)
    assert getattr(recording(), "keep", None) == keep
