"""All probes, one after the other, and what they say together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from rich.console import Console

from resumable.launch.doctor import capacity, clock, disk, leftovers, network, restart, software
from resumable.launch.doctor.finding import Finding, exit_code
from resumable.launch.doctor.probe import Probe, Subject, examine
from resumable.launch.doctor.table import render
from resumable.launch.report.outputs import write_output
from resumable.launch.system.text_safety import json_document

REPORT_VERSION = 2

QUICK_PROBES = (
    Probe(name="torch", ask=software.torch_version),
    Probe(name="interface", ask=network.interface),
    Probe(name="names", ask=network.names, timeout_s=4 * network.LOOKUP_LIMIT_S),
    Probe(name="ports", ask=network.ports),
    Probe(name="cores", ask=capacity.cores),
    Probe(name="memory", ask=capacity.memory),
    Probe(name="shared memory", ask=capacity.shared_memory),
    Probe(name="open files", ask=capacity.open_files),
    Probe(name="clock", ask=clock.clock),
    Probe(name="disk space", ask=disk.space),
    Probe(name="file system", ask=disk.file_system),
    Probe(name="write speed", ask=disk.write_speed, timeout_s=30.0),
    Probe(name="leftovers", ask=leftovers.leftovers),
)
"""A few seconds together."""
TRIALS = (
    Probe(name="torchrun restart", ask=restart.torchrun_restart, timeout_s=None),
    Probe(name="resumable restart", ask=restart.resumable_restart, timeout_s=None),
)
"""Real restarts: up to a minute."""


class DoctorReport(msgspec.Struct, frozen=True, kw_only=True):
    """What `--json` writes."""

    version: int = REPORT_VERSION
    exit_code: int
    findings: tuple[Finding, ...]


def run_doctor(
    console: Console,
    *,
    nproc_per_node: int,
    run_dir: Path,
    is_quick: bool = False,
    json_file: str | None = None,
    probes: Sequence[Probe] | None = None,
) -> int:
    """Examine this machine and print a table: name, status, what it means, the fix.

    Args:
        console: Gets the table; on a terminal, the probe that is being asked meanwhile.
        nproc_per_node: Ranks that the machine is to run.
        run_dir: Where their evidence will go; it need not be there.
        is_quick: Leave out the real restarts.
        json_file: Gets the findings too; - is the standard output.
        probes: Others than the usual ones.

    Returns:
        0 if nothing fails, 1 if something does, 3 if a probe gave no answer.

    Raises:
        LaunchError: `json_file` cannot be written.
    """
    asked = probes if probes is not None else (*QUICK_PROBES, *(() if is_quick else TRIALS))
    subject = Subject(nproc_per_node=nproc_per_node, run_dir=run_dir)
    with console.status("") as status:
        findings = [_asked(probe, subject, status.update) for probe in asked]
    render(findings, console)
    code = exit_code(findings)
    if json_file is not None:
        report = DoctorReport(exit_code=code, findings=tuple(findings))
        write_output("--json", json_file, json_document(report))
    return code


def _asked(probe: Probe, subject: Subject, show: Callable[[str], None]) -> Finding:
    show(probe.name)
    return examine(probe, subject)
