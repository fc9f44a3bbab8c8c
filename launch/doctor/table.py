"""Findings for a person at a terminal, readable at 80 columns and without colour."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from resumable.launch.doctor.finding import Finding, Status
from resumable.launch.system.console import print_indented

_STYLES = {Status.OK: "green", Status.WARN: "yellow", Status.FAIL: "bold red", Status.UNKNOWN: "magenta"}


def render(findings: Sequence[Finding], console: Console) -> None:
    """Print a row for each finding, its fix below what it means, and one line that sums up."""
    name_width = max((len(finding.name) for finding in findings), default=0)
    indent = name_width + max(map(len, Status)) + 4
    for finding in findings:
        head = Text(f"{finding.name:<{name_width}}  ").append(finding.status, style=_STYLES[finding.status])
        print_indented(console, _meaning(finding), head=head, indent=indent)
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
