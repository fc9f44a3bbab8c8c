from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from resumable.launch.cli.main import main
from resumable.launch.reading.occurrences import matching
from tests.launch import histories
from tests.launch.histories import Job
from tests.launch.report import samples

JOB = Job(num_samples=32)
RUN = histories.one_kill(JOB, at=13, resume=12).faulted
"""Eight batches an epoch; the thirteenth step was done twice."""


def test_a_step_has_a_batch_of_each_rank() -> None:
    """Counted since training began, over all restarts."""
    found = matching(RUN, step=14)
    assert [(one.rank, one.incarnation, one.epoch, one.batch) for one in found] == [(0, 1, 1, 6), (1, 1, 1, 6)]
    assert [list(one.samples) for one in found] == [JOB.epoch(rank, 1)[6] for rank in (0, 1)]


def test_a_step_that_was_done_again_is_found_twice() -> None:
    """What the restart threw away is said to be so."""
    found = matching(RUN, step=12)
    assert [(one.rank, one.incarnation, one.is_kept) for one in found] == [
        (0, 0, False),
        (1, 0, False),
        (0, 1, True),
        (1, 1, True),
    ]


def test_a_sample_comes_once_in_every_epoch() -> None:
    """Whichever rank it went to."""
    found = [one for one in matching(RUN, sample=5) if one.is_kept]
    assert [one.epoch for one in found] == [0, 1, 2]


def test_a_batch_of_an_epoch_is_that_of_each_rank() -> None:
    """Its number goes on where the restart began."""
    found = matching(RUN, epoch=1, batch=7)
    assert [(one.step, one.rank) for one in found] == [(15, 0), (15, 1)]


@pytest.fixture
def run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    samples.stored(samples.valid(), tmp_path / "run")
    return "run"


def test_the_answer_is_for_people_and_for_programs(run_dir: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The same of both."""
    assert main(["who", run_dir, "--step", "2", "--json", "who.json"]) == 0
    found = json.loads(Path("who.json").read_text())
    said = capsys.readouterr().out
    assert said.startswith("trained on 2 batches\nstep 2, epoch 0, batch 2: rank 0 of incarnation 0")
    assert [" ".join(map(str, one["samples"])) in said for one in found] == [True, True]
    assert main(["who", run_dir, "--sample", str(found[0]["samples"][0])]) == 0
    assert re.match(r"trained on \d+ times?\n", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("words", "code"), [((), 2), (("--batch", "1"), 2), (("--step", "99999"), 3), (("--sample", "no such"), 3)]
)
def test_what_cannot_be_found_is_no_success(run_dir: str, words: tuple[str, ...], code: int) -> None:
    """Nor is what nobody asks for."""
    assert main(["who", run_dir, *words]) == code


def test_what_can_be_asked_for_is_said(run_dir: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Where nothing is found."""
    main(["who", run_dir, "--step", "99999"])
    assert "nothing was trained on there; it has steps 0 to" in capsys.readouterr().out
