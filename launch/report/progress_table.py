"""How far the ranks of a run are, for a terminal and for a log."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from resumable.launch.reading.live_progress import RankProgress
from resumable.launch.sweep.display import duration
from resumable.launch.system.text_safety import printable
from resumable.launch.system.wording import counted

_STYLES = {"training": "", "starting": "dim", "hit": "bold red", "failed": "bold red", "finished": "green"}
_WORDS = {"hit": "hit by a fault"}
_HEADS = ("rank", "step", "epoch", "loss", "steps/s", "left", "restarts", "")


def progress_table(title: str, ranks: Sequence[RankProgress], num_total: int | None) -> Table:
    """One row for each rank.

    Args:
        title: What runs.
        ranks: Where they are.
        num_total: Steps of the whole training, where known.
    """
    table = Table(box=None, pad_edge=False, title=Text(printable(title)), title_justify="left")
    for head in _HEADS:
        table.add_column(head, justify="left" if head == "" else "right", no_wrap=head != "")  # which alone gives way
    for rank in ranks:
        table.add_row(
            str(rank.rank),
            _steps(rank, num_total),
            _epoch(rank),
            _loss(rank),
            "" if rank.steps_per_s is None else f"{rank.steps_per_s:.1f}",
            _left(rank, num_total),
            str(rank.incarnation),
            Text(
                _doing(rank),
                style="yellow" if rank.is_stalled else _STYLES[rank.doing],
                no_wrap=True,
                overflow="ellipsis",
            ),
        )
    return table


def progress_line(title: str, rank: RankProgress, num_total: int | None) -> str:
    """The same of one rank, in words."""
    rate, left = rank.steps_per_s, _left(rank, num_total)
    parts = [
        f"step {_steps(rank, num_total)}",
        f"epoch {_epoch(rank)}" if rank.place is not None else "",
        f"loss {_loss(rank)}" if rank.loss is not None else "",
        f"{rate:.1f} steps/s" if rate is not None else "",
        f"{left} left" if left else "",
        counted(rank.incarnation, "restart") if rank.incarnation else "",
        _doing(rank),
    ]
    return printable(f"{title}, rank {rank.rank}: {', '.join(part for part in parts if part)}")


def _steps(rank: RankProgress, num_total: int | None) -> str:
    of_all = f" of {num_total}" if num_total is not None else ""
    return f"{rank.num_steps}{of_all}" if rank.is_whole else f"{rank.num_steps} since the restart"


def _epoch(rank: RankProgress) -> str:
    if rank.place is None:
        return ""
    of_all = f" of {rank.place.epoch_length}" if rank.place.epoch_length is not None else ""
    return f"{rank.place.epoch}, batch {rank.place.epoch_batches}{of_all}"


def _loss(rank: RankProgress) -> str:
    return "" if rank.loss is None else f"{rank.loss:.4g}"


def _left(rank: RankProgress, num_total: int | None) -> str:
    left_s = rank.left_s(num_total)
    return "" if left_s is None else duration(left_s)


def _doing(rank: RankProgress) -> str:
    if rank.is_stalled:
        return f"silent for {duration(rank.silent_s)}"
    first = printable(rank.message).splitlines()[:1]
    return ": ".join([_WORDS.get(rank.doing, rank.doing), *first])
