"""Writes the JSON schema of `results.json` beside this module: `python -m resumable.launch.report.schema`."""

from __future__ import annotations

from pathlib import Path

from resumable.launch.judge.results import results_schema

SCHEMA_FILE = Path(__file__).with_name("results.schema.json")


def main() -> None:
    """Write the file anew."""
    SCHEMA_FILE.write_bytes(results_schema())


if __name__ == "__main__":
    main()
