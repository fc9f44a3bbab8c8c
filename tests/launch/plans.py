"""Plans as the command line makes them."""

from __future__ import annotations

from resumable.launch.cli.options import job_options
from resumable.launch.cli.parser import parse
from resumable.launch.plan.options import JobOptions
from resumable.launch.plan.plan import Plan
from resumable.launch.plan.planner import make_plan


def options_of(*words: str) -> JobOptions:
    """What a command line asks for."""
    return job_options(parse(words))


def plan_of(*words: str) -> Plan:
    """What it will do."""
    return make_plan(options_of(*words))
