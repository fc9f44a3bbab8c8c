"""Worker groups that somebody else has started: put in order, and their ends inferred from the ends of their ranks.

No node of ours speaks for them. Rank 0 of each said what it is a part of, and took a number in its run directory. Where
there is one run directory for each attempt, every attempt has begun at 0, and the clocks of their machines give the order.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

from resumable.launch.evidence.node_records import NodeEnded, NodeOutcome, RoundStarted
from resumable.launch.evidence.rank_records import Step, Superseded

if TYPE_CHECKING:
    from resumable.launch.evidence.history import Process

_CLOCKS_APART_S = 60.0
"""What the clocks of two machines may differ by."""


def in_order(folders: Sequence[Sequence[RoundStarted]]) -> list[RoundStarted]:
    """The groups of all folders, numbered through.

    Args:
        folders: What each run directory holds; hosts that share none have each a part of the same groups.
    """
    numbered = [sorted((r for r in folder if r.group), key=lambda r: r.incarnation) for folder in folders]
    if len([folder for folder in numbered if folder]) > 1:
        numbered = [sorted((r for folder in numbered for r in folder), key=lambda r: r.time_unix or 0.0)]
    rounds = {round_.group: round_ for folder in numbered for round_ in folder}
    return [msgspec.structs.replace(round_, incarnation=number) for number, round_ in enumerate(rounds.values())]


def with_numbers(
    processes: Sequence[Process], rounds: Sequence[RoundStarted]
) -> tuple[list[Process], list[tuple[str, str]]]:
    """The processes with the numbers of their groups, and files whose group has none, with what is wrong with each.

    A group whose rank 0 has died before it took a number is none, unless it has trained.
    """
    numbers = {round_.group: round_.incarnation for round_ in rounds}
    placed: list[Process] = []
    orphans: list[tuple[str, str]] = []
    for process in processes:
        number = numbers.get(process.start.group)
        if number is not None:
            start = msgspec.structs.replace(process.start, incarnation=number)
            placed.append(msgspec.structs.replace(process, start=start))
        elif process.has_trained:
            orphans.append((process.file, "nothing from rank 0 of its worker group, which trained"))
    return placed, orphans


def of_training(rounds: Sequence[RoundStarted], processes: Sequence[Process]) -> list[RoundStarted]:
    """The groups without those that only evaluate, as before training or behind it; numbered through.

    Such a group makes no step, has trained no parameters at its end, and ends well. Where training was cut off before it, it
    may be what should have gone on.
    """
    kept: list[RoundStarted] = []
    is_cut_off = False
    for round_ in rounds:
        ends = [process.exit for process in processes if process.start.group == round_.group]
        is_good = len(ends) == round_.world_size and all(end is not None and end.code == 0 for end in ends)
        has_trained = any(process.has_trained for process in processes if process.start.group == round_.group)
        has_parameters = any(end is not None and end.parameters is not None for end in ends)
        if is_good and not (has_trained or has_parameters or is_cut_off):
            continue
        kept.append(round_)
        is_cut_off = not is_good
    return [msgspec.structs.replace(one, incarnation=number) for number, one in enumerate(kept or rounds)]


def overlaps(processes: Sequence[Process]) -> list[tuple[str, int, str]]:
    """Processes that trained on when they had seen a later group begin: file, line and what is wrong."""
    found = []
    for process in processes:
        for seen in [record for record in process.events if isinstance(record, Superseded)][:1]:
            later = map(process.records.__getitem__, range(seen.sequence + 1, len(process.records)))
            step = next((record for record in later if isinstance(record, Step)), None)
            if step is not None:
                what = f"trained on although life {seen.life} of its folder had begun: two lives at a time, or two jobs"
                found.append((process.file, step.sequence + 1, what))
    return found


def overlaps_by_clock(rounds: Sequence[RoundStarted], processes: Sequence[Process]) -> list[tuple[str, int, str]]:
    """Ranks 0 that trained on when a later group had begun, by the clocks of their machines.

    Within a folder a rank looks for later ones, but only now and then; in different ones none can see the other.

    Args:
        rounds: All groups, in order.
        processes: Of all folders.

    Returns:
        File, line and what is wrong.
    """
    firsts = {process.start.group: process for process in processes if process.rank == 0}
    found = []
    for earlier, later in pairwise(rounds):
        process, successor = firsts.get(earlier.group), firsts.get(later.group)
        if process is None or successor is None or earlier.time_unix is None or later.time_unix is None:
            continue
        tolerance_s = 0.0 if process.start.host == successor.start.host else _CLOCKS_APART_S
        alone_s = later.time_unix - earlier.time_unix + tolerance_s
        step = next((record for record in reversed(process.records) if isinstance(record, Step)), None)
        if step is not None and step.time_ns - earlier.time_ns > alone_s * 1e9:
            what = "trained on although a later life had begun: two lives at a time, or two jobs"
            found.append((process.file, step.sequence + 1, what))
    return found


def ends_of(rounds: Sequence[RoundStarted], processes: Sequence[Process]) -> list[NodeEnded]:
    """How the last group ended, as its ranks say it; nothing while one of them has said nothing."""
    last = rounds[-1]
    exits = [process.exit for process in processes if process.incarnation == last.incarnation]
    has_ended = len(exits) == last.world_size and all(exit_ is not None and exit_.code == 0 for exit_ in exits)
    outcome: NodeOutcome = "succeeded" if has_ended else "failed"
    return [NodeEnded(node=0, outcome=outcome, time_ns=last.time_ns)]
