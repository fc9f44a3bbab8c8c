"""Run directories of jobs whose ranks somebody else has started: with a plan, from `resumable record`, or with none."""

from __future__ import annotations

from collections.abc import Sequence

from resumable.launch.errors import EvidenceError
from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.plan.plan import Plan, Scenario, Script
from resumable.launch.plan.topology import Topology

SCENARIO = "run"


def record_plan(command: Sequence[str] = ()) -> Plan:
    """The plan of a job that is only recorded.

    Args:
        command: What starts its ranks; nothing where nobody knows.
    """
    program, *arguments = command or ("(a recorded job)",)
    return Plan(
        command="record",
        script=Script(path=program, arguments=tuple(arguments), is_program=True),
        torchrun={},
        topology=Topology(),
        scenarios=(Scenario(name=SCENARIO, nproc_per_start=(1,)),),
        seed=0,
        fresh_directory=False,
    )


def stored_plan(run_dir: RunDir) -> Plan:
    """The plan of a run directory; that of a recorded job need not be there.

    Raises:
        EvidenceError: it is none, or that of a different version.
    """
    try:
        return run_dir.read_plan()
    except EvidenceError:
        if not _is_recorded(run_dir):
            raise
        return record_plan()


def is_begun(run_dir: RunDir) -> bool:
    """Whether a plan is there, or a recorder has written what needs none."""
    return run_dir.plan_file.exists() or run_dir.scenario(SCENARIO).holds_groups


def _is_recorded(run_dir: RunDir) -> bool:
    """Whether nothing but a recorder wrote there."""
    try:
        return not run_dir.plan_file.exists() and is_begun(run_dir)
    except OSError:  # a name that no file system takes
        return False
