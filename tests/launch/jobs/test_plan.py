"""`resumable plan` prints what a sampler gives."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from resumable.launch.cli.main import main as resumable
from resumable.launch.cli.parser import parse
from resumable.launch.jobs.plan import Request, main
from resumable.samplers import Mixture, ResumableDistributedSampler, ResumableRandomSampler


def asked(*arguments: str) -> Request:
    """What the command hands on."""
    return msgspec.convert({**vars(parse(["plan", *arguments]))}, Request)


def planned(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(asked(*arguments, "--json")) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_what_is_planned_is_what_each_ranks_sampler_gives(capsys: pytest.CaptureFixture[str]) -> None:
    """For every step and rank, in any epoch and order."""
    words = "--num-samples 50 --world-size 2 --batch-size 4 --seed 1 --epoch 2 --steps 3 --order feistel"
    ranks = [
        ResumableDistributedSampler(range(50), 2, rank, seed=1, batch_size=4, order="feistel")  # type: ignore[arg-type]
        for rank in range(2)
    ]
    for sampler in ranks:
        sampler.set_epoch(2)
    drawn = [list(islice(iter(sampler), 12)) for sampler in ranks]
    expected = [[samples[first : first + 4] for samples in drawn] for first in (0, 4, 8)]
    assert expected == planned(capsys, *words.split())["steps"]


@pytest.mark.parametrize("save", [torch.save, lambda state, path: path.write_text(json.dumps(state))])
def test_a_state_says_the_rest_and_another_number_of_ranks_may_go_on(
    save: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Deep in a checkpoint, or alone."""
    assert callable(save)
    sampler = ResumableRandomSampler(range(20), seed=3, batch_size=4)  # type: ignore[arg-type]
    stream = list(sampler)
    sampler.set_epoch(1)
    sampler.set_epoch(0)
    list(islice(iter(sampler), 8))
    save({"step": 2, "data": [sampler.state_dict()]}, tmp_path / "state")
    found = planned(capsys, "--state", str(tmp_path / "state"), "--world-size", "3", "--batch-size", "2")
    assert found["consumed"] == 8
    assert [[stream[8 + rank], stream[11 + rank]] for rank in range(3)] == found["steps"][0]


def refusal(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(asked(*arguments)) == 2
    return capsys.readouterr().err


def test_what_cannot_be_planned_is_refused_with_the_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No length, no state, somebody else's file, a stream that only a program can describe."""
    file = tmp_path / "state"
    mixed = ResumableRandomSampler(range(20), order=Mixture([10, 10], [1, 1]))  # type: ignore[arg-type]
    assert "give --num-samples, or --state" in refusal([], capsys)
    assert "epoch=-1" in refusal(["--num-samples", "9", "--epoch", "-1"], capsys)
    assert "No such file" in refusal(["--state", str(file)], capsys)
    file.write_text("{}")
    assert "expected one sampler's state in it, found 0" in refusal(["--state", str(file)], capsys)
    file.write_bytes(b"\x80nothing")
    assert "neither JSON nor a checkpoint" in refusal(["--state", str(file)], capsys)
    file.write_text(json.dumps(mixed.state_dict()))
    assert "only the program describes this stream whole" in refusal(["--state", str(file)], capsys)


@pytest.mark.slow
def test_the_command_prints_it_and_hands_on_how_it_ended(capfd: pytest.CaptureFixture[str]) -> None:
    """In a process of its own, which the launcher knows by its name alone."""
    assert resumable(["plan", "--num-samples", "3", "--order", "sequential", "--world-size", "2"]) == 0
    expected = [
        "epoch 0 from sample 0 of 3, sequential/1, seed 0, world size 2, batch size 1",
        "step 0 rank 0: 0",
        "step 0 rank 1: 1",
        "step 1 rank 0: 2",
        "step 1 rank 1: 0",
    ]
    assert expected == capfd.readouterr().out.splitlines()
    assert resumable(["plan", "--epoch", "-1", "--num-samples", "3"]) == 2
