"""Where a run keeps what: the one place that knows the file names.

RUN/
  plan.json               what was to be done
  verdict.json            what came of it; a sweep that was interrupted has none
  <scenario>/             reference-1, reference-2, faulted; or run; or a point of a sweep, with a verdict.json of its own
    events/               of each process i<incarnation>-r<rank>-<pid>.jsonl, or g<group>-r<rank>-<host>-<pid>.jsonl, and
                          what lies beside it of a long one (`resumable.launch.evidence.recorded_text`)
    nodes/                node-<n>-<tag>.jsonl (rounds, ends), one for every node process; supervisor.jsonl
                          (faults of nodes, and the seal)
                          life-<incarnation>.jsonl of a worker group that somebody else has started
    logs/i<incarnation>/  rank<rank>.out and rank<rank>.err; rank<rank>.stacks of one that hung
    logs/s<start>/        command.out, what the user's own command printed when it was started
    fired/                one file for every fault that has fired; <fault>.done once the supervisor has done its part
    work/                 working directory of the job
    kept/<incarnation>/   the same as it was when a life of a chain began, while another chain may go on from there
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from resumable.launch.errors import DamagedPlanError, EvidenceError
from resumable.launch.evidence.recorded_text import texts_in
from resumable.launch.plan.plan import Plan
from resumable.launch.plan.stored_plans import READABLE_VERSIONS, decode_plan, version_of
from resumable.launch.system.safe_io import decoded, read_whole, replace_whole
from resumable.launch.system.text_safety import json_document
from resumable.launch.system.wording import listed

RUNS = Path("runs")
"""Where commands put their run directories unless they are told where."""
_MISSING = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)
_NO_NAME = re.compile(r"[^A-Za-z0-9.]")
_MAX_HOST = 64
_MAX_NAME_BYTES = 250
"""With the ending of a point's run on plain processes, what file systems take."""
_MAX_SHOWN = 40
"""Characters of a name that makes no sense."""


@dataclass(frozen=True, kw_only=True)
class ScenarioDir:
    """The folders of one scenario."""

    root: Path

    @property
    def events(self) -> Path:
        """One evidence file for every process of the job."""
        return self.root / "events"

    @property
    def nodes(self) -> Path:
        """What the nodes wrote."""
        return self.root / "nodes"

    @property
    def logs(self) -> Path:
        """What the ranks printed, by incarnation."""
        return self.root / "logs"

    def incarnation_logs(self, incarnation: int) -> Path:
        """What the ranks of one incarnation printed."""
        return self.logs / f"i{incarnation:03d}"

    def rank_logs(self, *, incarnation: int, rank: int) -> tuple[Path, Path]:
        """What one rank printed to its standard output, and to its standard error."""
        stem = self.incarnation_logs(incarnation) / f"rank{rank}"
        return stem.with_suffix(".out"), stem.with_suffix(".err")

    def command_log(self, start: int) -> Path:
        """What the user's own command printed when it was started, counted from 0, with all that it started itself."""
        return self.logs / f"s{start:03d}" / "command.out"

    def error_file(self, *, incarnation: int, rank: int) -> Path:
        """What torch's `record` wrote of the exception that ended a rank, if there was one."""
        return self.incarnation_logs(incarnation) / f"rank{rank}.error.json"

    def event_file(self, *, incarnation: int, rank: int, pid: int) -> Path:
        """Evidence of one process."""
        return self.events / f"i{incarnation:03d}-r{rank:04d}-{pid}.jsonl"

    def event_files(self, *, rank: int | None = None) -> list[Path]:
        """Evidence of all processes, or of one rank's, in the order of incarnations: texts, as `RecordedText` reads them."""
        return texts_in(self.events, "*-r*-*" if rank is None else f"*-r{rank:04d}-*")

    def stacks_file(self, *, incarnation: int, rank: int) -> Path:
        """Where a rank stood when the hang watch asked."""
        return self.incarnation_logs(incarnation) / f"rank{rank}.stacks"

    @property
    def last_incarnation(self) -> int:
        """The latest one of which there is a file; 0 if there is none."""
        return max(map(self.incarnation_of, self.event_files()), default=0)

    @staticmethod
    def incarnation_of(event_file: Path) -> int:
        """The incarnation that an evidence file's name says."""
        return int(event_file.name.split("-")[0][1:])

    @staticmethod
    def rank_of(event_file: Path) -> int:
        """The rank that an evidence file's name says."""
        return int(event_file.name.split("-")[1][1:])

    @property
    def fired(self) -> Path:
        """Marks of the faults that have fired."""
        return self.root / "fired"

    def fired_faults(self) -> list[int]:
        """Numbers of the faults that have fired, by their marks."""
        return sorted(int(mark.name) for mark in self.fired.glob("*") if mark.name.isdecimal())

    @property
    def work(self) -> Path:
        """Working directory of the job."""
        return self.root / "work"

    @property
    def kept(self) -> Path:
        """Copies of the working directory."""
        return self.root / "kept"

    def kept_work(self, incarnation: int) -> Path:
        """What the working directory was when this incarnation began."""
        return self.kept / str(incarnation)

    def done_mark(self, fault: int) -> Path:
        """There once the supervisor has done what this fault does to a node."""
        return self.fired / f"{fault}.done"

    def fired_on_node(self, fault: int) -> int | None:
        """Number of the node on which a rank has let this fault fire; None if none has."""
        with contextlib.suppress(OSError, ValueError):
            return int(read_whole(self.fired / str(fault)))
        return None

    def node_file(self, number: int, tag: str) -> Path:
        """What one node process says; a node that takes the place of a lost one has the same number and another tag."""
        return self.nodes / f"node-{number}-{tag[:8]}.jsonl"

    def life_file(self, number: int) -> Path:
        """What rank 0 of somebody else's worker group says of it; by this file the number is the group's."""
        return self.nodes / f"life-{number:03d}.jsonl"

    def life_files(self) -> list[Path]:
        """Those of all worker groups, in their order."""
        return sorted(self.nodes.glob("life-*.jsonl"))

    def group_event_file(self, *, group: str, rank: int, host: str, pid: int) -> Path:
        """Evidence of one process of such a group."""
        name = _NO_NAME.sub("_", host)[:_MAX_HOST]
        return self.events / f"g{group[:16]}-r{rank:04d}-{name}-{pid}.jsonl"

    @property
    def holds_groups(self) -> bool:
        """Whether such groups have left anything here; a host may have none of their ranks 0."""
        return bool(self.life_files()) or bool(texts_in(self.events, "g*-r*-*"))

    @property
    def supervisor_file(self) -> Path:
        """What the supervisor did to nodes."""
        return self.nodes / "supervisor.jsonl"

    def create(self) -> None:
        """Make every folder; those that exist stay."""
        for folder in (self.events, self.nodes, self.logs, self.fired, self.work):
            folder.mkdir(parents=True, exist_ok=True)


@dataclass(frozen=True, kw_only=True)
class RunDir:
    """The folder of one command."""

    root: Path
    source: Path | None = None
    """The bundle that it was unpacked from."""

    @property
    def name(self) -> Path:
        """As the user would write it: the folder, or its bundle."""
        return self.source or self.root

    @property
    def plan_file(self) -> Path:
        """The plan, as JSON."""
        return self.root / "plan.json"

    @property
    def verdict_file(self) -> Path:
        """The verdict, as JSON."""
        return self.root / "verdict.json"

    def scenario(self, name: str) -> ScenarioDir:
        """Folders of the scenario with this name."""
        return ScenarioDir(root=self.root / name)

    def write_plan(self, plan: Plan) -> None:
        """Store the plan, readable by a person; whoever reads it meanwhile finds the old one or the new one."""
        replace_whole(self.plan_file, json_document(plan))

    def read_plan(self) -> Plan:
        """The stored plan.

        Raises:
            EvidenceError: no plan is there, or a different version wrote it.
            DamagedPlanError: it cannot be read, or names what cannot be.
        """
        try:
            data = read_whole(self.plan_file)
        except OSError as error:
            if error.errno not in _MISSING:
                raise DamagedPlanError(f"{self.root}: cannot read plan.json ({error.strerror})") from error
            raise EvidenceError(_what_else(self.root)) from error
        try:
            version = decoded(version_of, data)
            if version not in READABLE_VERSIONS:
                raise EvidenceError(
                    f"{self.plan_file}: version={version}, this program reads versions {listed(READABLE_VERSIONS)}; "
                    "check it with the release that wrote it"
                )
            plan = decoded(decode_plan, data)
        except msgspec.DecodeError as error:
            raise DamagedPlanError(f"{self.plan_file} is damaged: {error}") from error
        flaw = next(_flaws(plan), None)
        if flaw is not None:
            raise DamagedPlanError(f"{self.plan_file} is damaged: {flaw}")
        return plan


def _what_else(root: Path) -> str:
    """What is where a run directory should be, and which one may be meant."""
    is_there = os.path.lexists(root)
    what = f"{root} is no run directory: it has no plan.json" if is_there else f"{root} does not exist"
    if within := next((parent for parent in root.parents if os.path.isfile(parent / "plan.json")), None):  # noqa: PTH113
        return f"{what}\nit lies in one: {within}"
    if newest := newest_run(root):
        return f"{what}\nit holds some, the newest is {newest}"
    if newest := newest_run(RUNS):
        return f"{what}\nthe newest here is {newest}"
    return f"{what}\nresumable verify, sweep, run and record make one, in ./{RUNS} unless they are told where"


def newest_run(folder: Path) -> Path | None:
    """The run directory in a folder whose plan was written last; None if it holds none, or cannot be looked into."""
    try:
        plans = [(file.stat().st_mtime_ns, file.parent) for file in folder.glob("*/plan.json") if file.is_file()]
    except OSError:
        return None
    return max(plans)[1] if plans else None


def _flaws(plan: Plan) -> Iterator[str]:
    """What no planner would have written, and what its readers rely on."""
    if not plan.scenarios:
        yield "scenarios=[]: expected at least one"
    if plan.sweep is not None and not plan.references:
        yield "a sweep without a reference"
    for name, num in Counter(scenario.name for scenario in plan.scenarios).items():
        if num > 1:
            yield f"scenario {name[:_MAX_SHOWN]!r} stands there {num} times: each has a folder of its own"
    for scenario in plan.scenarios:
        name = scenario.name
        if name in ("", ".", "..") or "/" in name or "\0" in name or len(name.encode()) > _MAX_NAME_BYTES:
            yield f"scenario {name[:_MAX_SHOWN]!r}: a name is that of a folder, {_MAX_NAME_BYTES} bytes at most"
        if not scenario.nproc_per_start:
            yield f"scenario {name!r}: nproc_per_start=[]: expected at least one start"
