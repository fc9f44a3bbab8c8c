"""Ray Train: a dead worker is replaced together with all others, and what they go on with is judged."""

from __future__ import annotations

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.integration.commands import JOB, resumable

MISSING = [name for name in ("ip", "unshare") if shutil.which(name) is None]
pytestmark = [
    pytest.mark.integration,
    pytest.mark.thorough,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(find_spec("ray") is None, reason="RAY NOT TESTED: it is not installed"),
    pytest.mark.skipif(bool(MISSING), reason=f"RAY NOT TESTED: needs {MISSING}"),
]


@pytest.mark.parametrize(("how", "code"), [("good", 0), ("careless", 1), ("hasty", 0)])
def test_a_job_of_ray_train_is_recorded(tmp_path: Path, how: str, code: int) -> None:
    """In a network of its own, for elsewhere Ray waits for an address that leads nowhere. It kills workers that are done.

    Where a worker dies just after it has handed over a checkpoint, Ray goes on from the one before, though the newer one
    lies on the disk; that is told.
    """
    job = f"{sys.executable} {Path(JOB).with_name('in_ray.py')} work 7 {how}"
    alone = ("unshare", "--net", "sh", "-c", f"ip link set lo up && exec {job}")
    recorded = resumable("record", "--run-dir", "run", "--", *alone, folder=tmp_path, timeout_s=1500)
    assert (recorded.returncode, "2 ranks in 2 incarnations" in recorded.stderr) == (0, True), recorded.stderr
    checked = resumable("check", "run", folder=tmp_path)
    assert (checked.returncode, "duplicated" in checked.stdout) == (code, how == "careless"), checked.stdout
    assert ("went on from step 3, and had saved after 6 steps" in checked.stdout) == (how == "hasty"), checked.stdout
