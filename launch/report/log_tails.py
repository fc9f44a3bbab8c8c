"""The last lines that the ranks printed."""

from __future__ import annotations

import re

import msgspec

from resumable.launch.evidence.run_dir import ScenarioDir
from resumable.launch.system.safe_io import last_lines

MAX_LINES = 40
"""Of each log."""
_NAME = re.compile(r"i(\d+)/rank(\d+)\.(out|err|stacks)", re.ASCII)
_STREAMS = {"out": "standard output", "err": "standard error", "stacks": "stacks, as it hung"}


class LogTail(msgspec.Struct, frozen=True, kw_only=True):
    """The end of one log."""

    rank: int
    incarnation: int
    stream: str
    """`standard output`, `standard error` or `stacks, as it hung`."""
    file: str
    """Relative to the run directory."""
    lines: tuple[str, ...]
    """The last of them that hold something."""


def log_tails(scenario: ScenarioDir) -> tuple[LogTail, ...]:
    """The ends of all logs of a scenario that hold something, in order of (incarnation, rank)."""
    found = []
    for path in sorted(scenario.logs.glob("*/*")):
        match = _NAME.fullmatch(str(path.relative_to(scenario.logs)))
        if match is None:
            continue
        lines = last_lines(path, MAX_LINES, within=scenario.root)
        if lines:
            incarnation, rank, stream = match.groups()
            found.append(
                LogTail(
                    rank=int(rank),
                    incarnation=int(incarnation),
                    stream=_STREAMS[stream],
                    file=str(path.relative_to(scenario.root.parent)),
                    lines=tuple(lines),
                )
            )
    return tuple(sorted(found, key=lambda tail: (tail.incarnation, tail.rank)))
