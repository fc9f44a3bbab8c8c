"""A repository that has the names of our folders and packages itself: neither side shadows the other."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.conftest import TIMEOUT_S, Resumable

THEIRS = "OWNER = 'user'\n"
THEIR_JOB = """
import evidence, launch, plan, samplers
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from resumable.samplers import ResumableDataLoader, ResumableDistributedSampler

for module in (evidence, launch, plan, samplers):
    assert module.OWNER == "user", module

dist.init_process_group("gloo")
torch.manual_seed(0)
data = torch.randn(32, 4)
model = DistributedDataParallel(torch.nn.Linear(4, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
loader = ResumableDataLoader(data, batch_size=2, sampler=ResumableDistributedSampler(data, batch_size=2))
try:
    saved = torch.load("checkpoint.pt")
    model.load_state_dict(saved["model"])
    loader.load_state_dict(saved["loader"])
except FileNotFoundError:
    pass
for batch in loader:
    optimizer.zero_grad()
    model(batch).square().sum().backward()
    optimizer.step()
    if dist.get_rank() == 0:
        torch.save({"model": model.state_dict(), "loader": loader.state_dict()}, "checkpoint.tmp")
        samplers.publish("checkpoint.tmp", "checkpoint.pt")
    dist.barrier()
dist.destroy_process_group()
"""
THEIR_TEST = """
import evidence, launch, plan, pytest, samplers

@pytest.mark.resume(nproc_per_node=2)
def test_training_survives_a_kill(resume_rig):
    verdict = resume_rig.verify("train.py", faults="sigkill@step=3:rank=1")
    assert verdict.outcome == "valid", verdict.reason
    assert {module.OWNER for module in (evidence, launch, plan, samplers)} == {"user"}
"""

Repository = Callable[[str], Path]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Makes one whose `launch` is a module, or a package."""

    def make(launch: str) -> Path:
        files = {
            launch: THEIRS,
            "samplers.py": f"import os\n{THEIRS}publish = os.replace\n",
            "evidence.py": THEIRS,
            "plan/__init__.py": THEIRS,
            "train.py": THEIR_JOB,
            "test_training.py": THEIR_TEST,
        }
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text)
        return tmp_path

    return make


@pytest.mark.parametrize("launch", ["launch.py", pytest.param("launch/__init__.py", marks=pytest.mark.thorough)])
def test_pytest_starts_with_our_plugin_and_the_rig_proves_a_resume(launch: str, repository: Repository) -> None:
    """The user's tests, the ranks that they start and our package each import their own."""
    folder = repository(launch)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", "--quiet"]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_verify_proves_a_resume_of_plain_ranks(repository: Repository, resumable: Resumable) -> None:
    """Command, node and ranks that are new interpreters, as torchrun starts them, each import their own."""
    script = repository("launch.py") / "train.py"
    words = ("--start-method", "subprocess", "--nproc-per-node", "2", "--fault", "sigkill@step=3:rank=1", str(script))
    ended = resumable("verify", *words)
    assert ended.exit_code == 0, ended.output + ended.errors
