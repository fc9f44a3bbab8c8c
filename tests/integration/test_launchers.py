"""Whatever starts the ranks: a rank is killed, the command is started again, and the job is judged."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.integration.commands import JOB, resumable, spawn

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]


def accelerate(*words: str) -> list[str]:
    """With `--cpu` it would start one process. Where it restarts its ranks, they may read the addresses of dead ones."""
    options = "--multi_gpu --num_processes 2 --num_machines 1 --mixed_precision no --dynamo_backend no"
    launcher = [sys.executable, "-m", "accelerate.commands.launch", *options.split(), "--main_process_port", "0"]
    return [*launcher, JOB, *words]


def torchx(*words: str) -> list[str]:
    """Its `--max_retries` restarts nothing where it runs ranks by itself. It starts the `torchrun` that is found first."""
    path = f"PATH={Path(sys.executable).parent}:{os.environ['PATH']}"
    options = "run --scheduler local_cwd dist.ddp -j 1x2 --script"
    return ["env", path, "torchx", *options.split(), JOB, "--", *words]


LAUNCHERS = [
    pytest.param(accelerate, id="accelerate launch"),
    pytest.param(spawn, id="mp.spawn", marks=pytest.mark.thorough),  # `test_recorded.py` has it without faults
    pytest.param(
        torchx,
        id="TorchX",
        marks=pytest.mark.skipif(find_spec("torchx") is None, reason="TORCHX NOT TESTED: it is not installed"),
    ),
]


@pytest.mark.parametrize(
    ("how", "code"),
    [
        pytest.param((), 0, id="good"),
        pytest.param(("careless",), 1, id="careless", marks=pytest.mark.thorough),  # under torchrun: `test_recorded.py`
    ],
)
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_job_is_verified_as_it_is_launched(
    tmp_path: Path, launcher: Callable[..., list[str]], how: tuple[str, ...], code: int
) -> None:
    """Killed in the second epoch; the launcher ends, and the command is started again."""
    words = ("verify", "--quiet", "--fault", "sigkill@step=7:rank=1", "--", *launcher("work", "-1", *how))
    ended = resumable(*words, folder=tmp_path, timeout_s=850)
    assert ended.returncode == code, ended.stdout + ended.stderr
