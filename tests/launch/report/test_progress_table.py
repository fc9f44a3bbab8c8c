from io import StringIO

import msgspec
import pytest
from rich.console import Console

from resumable.launch.evidence.rank_records import StepCount
from resumable.launch.reading.live_progress import RankProgress
from resumable.launch.report.progress_table import progress_line, progress_table

PLACE = StepCount(num_steps=34, num_batches=34, epoch=1, epoch_batches=10, epoch_length=24)
RANK = RankProgress(
    rank=2, incarnation=1, doing="training", num_steps=34, is_whole=True, place=PLACE, loss=0.17739, steps_per_s=2.0
)


@pytest.mark.parametrize(
    ("changes", "total", "expected"),
    [
        ({}, 72, "step 34 of 72, epoch 1, batch 10 of 24, loss 0.1774, 2.0 steps/s, 19 s left, 1 restart, training"),
        ({}, None, "step 34, epoch 1, batch 10 of 24, loss 0.1774, 2.0 steps/s, 1 restart, training"),
        (
            {"is_whole": False, "place": None, "loss": None},
            72,
            "step 34 since the restart, 2.0 steps/s, 1 restart, training",
        ),
        (
            {"silent_s": 75.0},
            72,
            "step 34 of 72, epoch 1, batch 10 of 24, loss 0.1774, 2.0 steps/s, 1 restart, silent for 1 min 15 s",
        ),
        (
            {
                "doing": "failed",
                "message": "KeyError\x1b[31m: 'x'\nmore",
                "place": None,
                "loss": None,
                "incarnation": 0,
            },
            72,
            "step 34 of 72, 2.0 steps/s, failed: KeyError\ufffd[31m: 'x'",
        ),
        (
            {"loss": float("nan"), "place": None, "doing": "hit"},
            72,
            "step 34 of 72, loss nan, 2.0 steps/s, 1 restart, hit by a fault",
        ),
    ],
)
def test_a_line_says_what_is_known(changes, total, expected):
    """And nothing of what is not."""
    assert progress_line("faulted", msgspec.structs.replace(RANK, **changes), total) == f"faulted, rank 2: {expected}"


def test_a_table_has_a_row_for_each_rank():
    """At 80 columns, with the same figures."""
    target = StringIO()
    Console(file=target, width=80).print(progress_table("faulted", [RANK, RANK], 72))
    rows = [" ".join(line.split()) for line in target.getvalue().splitlines()]
    assert rows[2:] == ["2 34 of 72 1, batch 10 of 24 0.1774 2.0 19 s 1 training"] * 2


def test_a_long_message_takes_nothing_from_the_figures():
    """Of two ranks, one failed with more words than a row has: its words are cut, in one line."""
    target = StringIO()
    failed = msgspec.structs.replace(RANK, doing="failed", message="RuntimeError: " + "closed by peer " * 20)
    Console(file=target, width=80).print(progress_table("faulted", [RANK, failed], 72))
    rows = [" ".join(line.split()) for line in target.getvalue().splitlines()]
    assert rows[2] == "2 34 of 72 1, batch 10 of 24 0.1774 2.0 19 s 1 training"
    assert rows[3].startswith("2 34 of 72 1, batch 10 of 24 0.1774 2.0 1 failed: R")
    assert (len(rows), rows[3][-1]) == (4, "…")
