"""Writes what other programs need to read `results.json`, beside this module: `python -m resumable.launch.report.schema`.

`results.schema.json` is its JSON schema, `CODES.md` the page of all codes.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from resumable.launch.explain.codes.statement import Problem, Reason, Statement
from resumable.launch.judge.results import results_schema

SCHEMA_FILE = Path(__file__).with_name("results.schema.json")
CODES_FILE = Path(__file__).with_name("CODES.md")

_HEAD = """\
# Codes

What `results.json` calls a `problem` (what is wrong) or a `reason` (why) is an object with a `code` and the parameters
below. A code never changes its meaning; a release may add codes and parameters. The sentences that people read are made
from them.
This page is generated: `python -m resumable.launch.report.schema`.
"""


def codes_page() -> str:
    """The page of all codes."""
    return "\n".join([_HEAD, *_table("Problems", Problem), "", *_table("Reasons", Reason), ""])


def _table(title: str, base: type[Statement]) -> list[str]:
    rows = [_row(kind) for kind in sorted(base.__subclasses__(), key=lambda kind: str(kind.__struct_config__.tag))]
    return [f"## {title}", "", "| code | parameters | meaning |", "|---|---|---|", *rows]


def _row(kind: type[Statement]) -> str:
    parameters = ", ".join(f"`{field.encode_name}`" for field in msgspec.structs.fields(kind))
    meaning = (kind.__doc__ or "").partition("\n")[0]
    return f"| `{kind.__struct_config__.tag}` | {parameters} | {meaning} |"


def main() -> None:
    """Write both files."""
    SCHEMA_FILE.write_bytes(results_schema())
    CODES_FILE.write_text(codes_page())


if __name__ == "__main__":
    main()
