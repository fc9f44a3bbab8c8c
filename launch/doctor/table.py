"""Findings for a person at a terminal, readable at 80 columns and without colour."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from resumable.launch.doctor.finding import Finding, Status

_STYLES = {Status.OK: "green", Status.WARN: "yellow", Status.FAIL: "bold red", Status.UNKNOWN: "magenta"}


def render(findings: Sequence[Finding], console: Console) -> None:
    """Print a row for each finding, its fix below what it means, and one line that sums up."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("probe", no_wrap=True)
    table.add_column("status", no_wrap=True)
    table.add_column("what it means", overflow="fold")
    for finding in findings:
        table.add_row(Text(finding.name), Text(finding.status, style=_STYLES[finding.status]), _meaning(finding))
    console.print(table)
    console.print()
    console.print(Text(_summary(findings)))


def _meaning(finding: Finding) -> Text:
    text = Text(finding.meaning)
    if finding.fix:
        text.append("\nfix: ", style="bold").append(finding.fix)
    return text


def _summary(findings: Sequence[Finding]) -> str:
    statuses = [finding.status for finding in findings]
    counts = [f"{statuses.count(status)} {status}" for status in Status if status in statuses]
    return ", ".join(counts) or "nothing was asked"
