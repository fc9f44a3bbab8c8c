"""A job gives bit for bit what it gives without the recorder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from resumable.launch.evidence.rank_records import Backward, Batch, SkippedStep, State, Step, decode_line
from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.plan.plan import Plan, Scenario, Script
from resumable.launch.plan.topology import Topology

pytestmark = pytest.mark.slow

JOB = Path(__file__).parent / "jobs" / "watched.py"
TIMEOUT_S = 280
needs_compiler = pytest.mark.skipif(
    shutil.which("c++") is None, reason="inductor needs a C++ compiler, and none is there"
)


def run_ranks(folder: Path, way: str, *command: str, **variables: str) -> list[dict[str, Any]]:
    """Run the job on two ranks in `folder`; returns what each has written."""
    ranks = [
        subprocess.Popen(
            [sys.executable, "-P", *command],
            cwd=folder,
            env={
                **os.environ,
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "WORLD_SIZE": "2",
                "GROUP_RANK": "0",
                "OMP_NUM_THREADS": "1",
                **variables,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        outputs = [rank.communicate(timeout=TIMEOUT_S)[0] for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    assert [rank.returncode for rank in ranks] == [0, 0], "\n".join(outputs)
    return [torch.load(folder / f"result-{rank}.pt", weights_only=False) for rank in range(2)]


def run_recorded(root: Path, way: str) -> list[dict[str, Any]]:
    """The same with the recorder; returns what each has written, and keeps the evidence in `root`."""
    run_dir = RunDir(root=root)
    run_dir.write_plan(
        Plan(
            command="verify",
            script=Script(path=str(JOB), arguments=(way,)),
            torchrun={},
            topology=Topology(),
            scenarios=(Scenario(name="faulted", faults=(), nproc_per_start=(2,)),),
            seed=0,
        )
    )
    scenario = run_dir.scenario("faulted")
    scenario.create()
    ours = {"RESUMABLE_SCENARIO_DIR": str(scenario.root), "RESUMABLE_INCARNATION": "0", "RESUMABLE_NODE_NUMBER": "0"}
    return run_ranks(scenario.work, way, "-m", "resumable.launch.worker", **ours)


def flat(value: Any) -> Any:
    """The same with each tensor as its bytes."""
    if isinstance(value, torch.Tensor):
        return value.dtype, tuple(value.shape), value.reshape(-1).contiguous().view(torch.uint8).numpy().tobytes()
    if isinstance(value, dict):
        return {key: flat(one) for key, one in value.items()}
    return [flat(one) for one in value] if isinstance(value, list | tuple) else value


WAYS = ("ddp-sgd-scaler", "fsdp-fused", "ddp-aot_eager-hooks", "aot_eager-broken", "aot_eager-optimizer_step")
FURTHER_WAYS = (
    "ddp",
    "ddp-sgd-hooks",
    "ddp-fused",
    "foreach",
    "fsdp",
    "aot_eager",
    "aot_eager-whole_step",
    "aot_eager-method",
    "fsdp-aot_eager",
)
COMPILED_WAYS = ("inductor-broken-hooks",)
FURTHER_COMPILED_WAYS = ("ddp-inductor", "inductor-optimizer_step", "inductor-whole_step")


@pytest.mark.parametrize(
    "way",
    [
        *WAYS,
        *(pytest.param(way, marks=pytest.mark.thorough) for way in FURTHER_WAYS),
        *(pytest.param(way, marks=needs_compiler) for way in COMPILED_WAYS),
        *(pytest.param(way, marks=[needs_compiler, pytest.mark.thorough]) for way in FURTHER_COMPILED_WAYS),
    ],
)
def test_the_recorder_changes_no_bit(tmp_path: Path, way: str) -> None:
    """Parameters, optimizer, losses and random state are the same, and `torch.compile` has compiled the same."""
    plain, recorded = tmp_path / "plain", tmp_path / "recorded"
    plain.mkdir()
    recorded.mkdir()
    expected = run_ranks(plain, way, str(JOB), way)
    actual = run_recorded(recorded, way)
    assert [one["counted"] for one in expected] == [one["counted"] for one in actual]
    assert flat(expected) == flat(actual)
    files = RunDir(root=recorded).scenario("faulted").event_files()
    lines = [[decode_line(line) for line in file.read_bytes().splitlines()] for file in files]
    kinds = [list(map(type, own)) for own in lines]
    counts = [[kind.count(Batch), kind.count(Backward), kind.count(Step) + kind.count(SkippedStep)] for kind in kinds]
    assert counts == [[24, 24, 24]] * 2
    starts = [[line for line in own if isinstance(line, State) and line.moment == "start"] for own in lines]
    assert [[{"parameters"}]] * 2 == [[start.components.keys() & {"parameters"} for start in own] for own in starts]
