"""`make peers`: measures the stacks, and writes the scoreboard as JSON, Markdown and HTML.

python -m tests.peers [--confirm each|cause] [--cell COLUMN]... [ROW...]   all rows, or those that are named
python -m tests.peers --missing [ROW...]                                   of them the cells that are empty
python -m tests.peers --page                                            none: what is stored is written again
"""

from __future__ import annotations

import argparse
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tests.import_graph import ROOT
from tests.peers.catalogue import STACKS
from tests.peers.cells import CELLS
from tests.peers.measurement import measured
from tests.peers.scoreboard import Scoreboard, html, markdown, read, with_table, write

STORED = Path(__file__).parent / "scoreboard.json"
README = ROOT / "README.md"
PAGE = Path(__file__).parent / "README.md"
BUILT = ROOT / "build" / "peers"


def main() -> None:
    """Measure; what is known so far is stored after each cell."""
    parser = argparse.ArgumentParser(prog="python -m tests.peers")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of: {', '.join(stack.name for stack in STACKS)}")
    parser.add_argument("--page", action="store_true", help="measure nothing; write what is stored again")
    parser.add_argument("--missing", action="store_true", help="measure only cells that are not stored")
    parser.add_argument(
        "--confirm", choices=("each", "cause"), default="each", help="what is done again, as in `sweep`"
    )
    parser.add_argument(
        "--cell", action="append", choices=[cell.name for cell in CELLS], help="this column; repeatable"
    )
    arguments = parser.parse_args()
    by_name = {stack.name: stack for stack in STACKS}
    unknown = set(arguments.rows) - by_name.keys()
    if unknown:
        parser.error(f"no row {', '.join(sorted(unknown))}")
    cells = [cell for cell in CELLS if not arguments.cell or cell.name in arguments.cell]
    scoreboard = read(STORED)
    store(scoreboard)
    for stack in [] if arguments.page else [by_name[name] for name in arguments.rows or by_name]:
        folder = BUILT / "evidence" / time.strftime("%Y%m%d-%H%M%S")
        known = scoreboard.row(stack) if arguments.missing else {}
        wanted = [cell for cell in cells if cell.name not in known]
        for result in measured(stack, wanted, folder, again=arguments.confirm):
            scoreboard = scoreboard.with_result(msgspec.structs.replace(result, date=_today()))
            store(scoreboard)
            print(f"{stack.name}, {result.cell}: {result.mark} {result.reason}", flush=True)


def store(scoreboard: Scoreboard) -> None:
    """Write all its forms, and the table of the README."""
    write(scoreboard, STORED)
    PAGE.write_text(markdown(scoreboard), encoding="utf-8")
    README.write_text(with_table(README.read_text(encoding="utf-8"), scoreboard), encoding="utf-8")
    BUILT.mkdir(parents=True, exist_ok=True)
    (BUILT / "scoreboard.html").write_text(html(scoreboard), encoding="utf-8")


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


if __name__ == "__main__":
    main()
