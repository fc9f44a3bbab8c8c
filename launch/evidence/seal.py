"""The end of a scenario's evidence: what every file ended with, so that an end that is missing shows.

The chain of a file (`resumable.launch.evidence.chained_lines`) holds all its lines together but the last ones: where a
process was killed, a file simply ends. The supervisor outlives them all, and writes down where each of them ended.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import xxhash

from resumable.launch.evidence.chained_lines import ChainedFile, last_link
from resumable.launch.evidence.node_records import Sealed, encode_node_line
from resumable.launch.evidence.recorded_text import texts_in
from resumable.launch.evidence.run_dir import RunDir, ScenarioDir
from resumable.launch.plan.plan import on_plain_processes
from resumable.launch.plan.stored_plans import decode_plan
from resumable.launch.system.safe_io import decoded, read_whole


def seal(scenario_dir: ScenarioDir) -> None:
    """Write the last line of a scenario's evidence; nobody may write any of it afterwards."""
    sealed = Sealed(
        plan=plan_digest(scenario_dir) or "",
        links={name: last_link(scenario_dir.root / name) for name in evidence_files(scenario_dir)},
        time_ns=time.monotonic_ns(),
    )
    with ChainedFile(scenario_dir.supervisor_file) as evidence:
        evidence.write(encode_node_line(sealed))


def broken_seals(scenario_dir: ScenarioDir, sealed: Sealed) -> Iterator[tuple[str, str]]:
    """What is no longer as it was when a scenario was sealed: files, relative to its folder, and what is wrong with each."""
    there = set(evidence_files(scenario_dir))
    for name in sorted(there | sealed.links.keys()):
        if name not in there:
            yield name, "is not there any more"
        elif name not in sealed.links:
            yield name, "was not there when the run ended"
        elif _last_link(scenario_dir.root / name) != sealed.links[name]:
            yield name, "does not end as it did when the run ended"
    if plan_digest(scenario_dir) != sealed.plan:
        yield f"../{RunDir(root=scenario_dir.root.parent).plan_file.name}", "is not the plan that was carried out"


def evidence_files(scenario_dir: ScenarioDir) -> list[str]:
    """Paths of all texts of evidence but the supervisor's, within the scenario's folder."""
    files = [*scenario_dir.event_files(), *texts_in(scenario_dir.nodes)]
    return sorted(str(file.relative_to(scenario_dir.root)) for file in files if file != scenario_dir.supervisor_file)


def plan_digest(scenario_dir: ScenarioDir) -> str | None:
    """Digest of the plan as it lies there: all that is common to its scenarios, and this one; None if there is no such.

    What it says of other scenarios, and how many points a sweep has, may change later.
    """
    try:
        data = read_whole(RunDir(root=scenario_dir.root.parent).plan_file)
        plan = decoded(decode_plan, data)
        said = json.loads(data)
    except (OSError, ValueError, msgspec.DecodeError):
        return None
    name = scenario_dir.root.name
    for scenario, own in zip(plan.scenarios, said["scenarios"], strict=True):
        if name in (scenario.name, on_plain_processes(scenario).name):
            common = {field: value for field, value in said.items() if field not in ("scenarios", "sweep")}
            return xxhash.xxh3_64_hexdigest(json.dumps([common, own], sort_keys=True).encode())
    return None


def _last_link(file: Path) -> str | None:
    try:
        return last_link(file)
    except OSError:
        return None
