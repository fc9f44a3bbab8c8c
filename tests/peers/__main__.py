"""`make peers`: measures the stacks, and writes the scoreboard as JSON, Markdown and HTML.

python -m tests.peers [ROW...]   all rows, or those that are named
python -m tests.peers --page     none: what is stored is written again
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tests.import_graph import ROOT
from tests.peers.catalogue import STACKS
from tests.peers.cells import CELLS
from tests.peers.measurement import measured
from tests.peers.scoreboard import Scoreboard, html, markdown, read, write

STORED = Path(__file__).parent / "scoreboard.json"
PAGE = Path(__file__).parent / "README.md"
BUILT = ROOT / "build" / "peers"


def main(names: list[str]) -> int:
    """Measure; what is known so far is stored after each cell."""
    if names == ["--page"]:
        store(read(STORED))
        return 0
    unknown = set(names) - {stack.name for stack in STACKS}
    if unknown:
        print(
            f"no row {', '.join(sorted(unknown))}; rows: {', '.join(stack.name for stack in STACKS)}", file=sys.stderr
        )
        return 2
    scoreboard = read(STORED)
    for stack in STACKS:
        if names and stack.name not in names:
            continue
        for result in measured(stack, CELLS, BUILT / "evidence" / time.strftime("%Y%m%d-%H%M%S")):
            scoreboard = scoreboard.with_result(msgspec.structs.replace(result, date=_today()))
            store(scoreboard)
            print(f"{stack.name}, {result.cell}: {result.mark} {result.reason}", flush=True)
    return 0


def store(scoreboard: Scoreboard) -> None:
    """Write all three forms."""
    write(scoreboard, STORED)
    PAGE.write_text(markdown(scoreboard), encoding="utf-8")
    BUILT.mkdir(parents=True, exist_ok=True)
    (BUILT / "scoreboard.html").write_text(html(scoreboard), encoding="utf-8")


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
