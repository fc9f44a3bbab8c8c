"""A run as data: everything that will be done, decided before anything starts.

The plan is written to the run directory first. Nothing later draws a random number or reads an argument, so the same
plan does the same thing again, and `resumable check` knows from it what the evidence should show.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from resumable.launch.errors import UsageError
from resumable.launch.plan.fault_model import PlannedFault, num_restarts
from resumable.launch.plan.topology import Topology
from resumable.launch.plan.torchrun_flags import Flags

PLAN_VERSION = 2
BUILT_IN_JOB = "resumable.launch.jobs.digits"
RUN_DIR_PLACEHOLDER = "{run_dir}"

Command = Literal["run", "verify", "sweep", "python", "record"]
"""record: somebody else starts the ranks.
python: one scenario that a `Launcher` runs; its caller decides later what it is compared with."""
StartMethod = Literal["forkserver", "subprocess"]
RestartMethod = Literal["agent", "job"]
Recording = Literal["full", "ends"]
Tail = Literal["steps", "epoch"]
"""How far a restart in a chain is followed at least: some steps, or into the epoch after next."""


class Containers(msgspec.Struct, frozen=True, kw_only=True):
    """Nodes that are containers (`--cluster compose`)."""

    compose_file: str
    """Absolute path."""
    image: str


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """What every rank runs.

    Raises:
        UsageError: a path or an argument is no UTF-8, which a stored plan could not say.
    """

    path: str
    """Absolute path of a script, or a module's name if `is_module`, or a program if `is_program`."""
    arguments: tuple[str, ...] = ()
    is_module: bool = False
    folder: str = ""
    """Where a module is looked for first, as by `python -m`: where the command was given; empty: the working directory."""
    is_program: bool = False
    """torchrun's `--no-python`: a program that is no Python script."""
    is_command: bool = False
    """A program that starts the ranks itself, such as torchrun or srun; `folder` is where the command was given."""
    is_function: bool = False
    """`path` is a file with a pickled call, see `resumable.launch.evidence.function_call`."""

    def __post_init__(self) -> None:
        for text in (self.path, self.folder, *self.arguments):
            if not text.isascii() and text != text.encode(errors="replace").decode():
                raise UsageError(f"{text!r}: expected a path or an argument in UTF-8; give it a different name")

    @property
    def is_built_in(self) -> bool:
        """Whether it is the job that comes with the launcher."""
        return self.path == BUILT_IN_JOB

    def in_directory(self, directory: Path) -> Script:
        """The same with every `{run_dir}` in its arguments replaced by the scenario's own directory."""
        arguments = tuple(argument.replace(RUN_DIR_PLACEHOLDER, str(directory)) for argument in self.arguments)
        return msgspec.structs.replace(self, arguments=arguments)


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """One point of a sweep as a part of a chain: its faults, and the life that follows them."""

    point: str
    """Name of the point that it decides; "" for faults that are only repeated, so that a later link comes after them."""
    num_faults: int
    """So many of the chain's faults, behind those of the links before."""
    until: int | None = None
    """Its tail: steps done when the faults of the next link come; None: the job goes on to its end."""


class Beginning(msgspec.Struct, frozen=True, kw_only=True):
    """Where a chain begins that goes on as another did before one of its points failed."""

    works_in: str
    """Name of the chain in whose working directory it runs, which is put back to what it was then."""
    incarnation: int
    """The first that is its own; those before it are the other's, whose evidence of them it has."""


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the job, with the faults that befall it."""

    name: str
    """Its folder in the run directory: `reference-1`, `reference-2`, `faulted`, `run`, or the name of a sweep's point."""
    faults: tuple[PlannedFault, ...] = ()
    restart: RestartMethod = "agent"
    """agent: the elastic agent restarts the worker group in place. job: every start of the command is a new one."""
    max_restarts: int = 0
    """How often the elastic agent may restart the group; for `agent` only."""
    nproc_per_start: tuple[int, ...]
    """Ranks per node of each start of the command; one entry for `agent`, one more for every restart with `job`."""
    start_method: StartMethod = "forkserver"
    links: tuple[Link, ...] = ()
    """Of a chain: the points of a sweep that it decides, in the order in which they come; () for any other scenario."""

    begins: Beginning | None = None
    """None: in a folder of its own, with incarnation 0."""
    keeps_work: bool = False
    """What its working directory is when each incarnation begins is kept: another chain may go on from there."""

    @property
    def first_incarnation(self) -> int:
        """The first that is its own."""
        return self.begins.incarnation if self.begins is not None else 0

    @property
    def works_in(self) -> str:
        """Name of the scenario in whose working directory it runs: its own, or another's."""
        return self.begins.works_in if self.begins is not None else self.name

    def until_link(self, number: int) -> Scenario:
        """A chain up to one of its links, as a scenario with those faults."""
        links = self.links[: number + 1]
        faults = self.faults[: sum(link.num_faults for link in links)]
        return msgspec.structs.replace(self, name=links[-1].point or self.name, faults=faults, links=())


class Restarts(msgspec.Struct, frozen=True, kw_only=True):
    """How a job is started again after its faults."""

    method: RestartMethod = "agent"
    max_restarts: int | None = None
    """How often at most; None: as often as the faults need it."""
    nproc_per_node: int
    """Ranks per node after a restart; a different number than before for `job` only."""

    def after(self, faults: tuple[PlannedFault, ...], *, name: str, reference: Scenario) -> Scenario:
        """The reference's job, hit by these faults and restarted."""
        number = num_restarts(faults) if self.max_restarts is None else self.max_restarts
        starts = reference.nproc_per_start
        if self.method == "job":
            starts += (self.nproc_per_node,) * number
        return msgspec.structs.replace(
            reference, name=name, faults=faults, restart=self.method, max_restarts=number, nproc_per_start=starts
        )


class SweepOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Which points of training a sweep hits, in the words of the command line; `sweep_words` reads them.

    Raises:
        UsageError: no number of points.
    """

    at: str = "all"
    ranks: str = "each"
    kinds: str = "sigkill"
    sample: int | None = None
    """So many points are drawn among all; None: all of them."""
    is_chained: bool = True
    """One run is hit at one point after the other, where the job allows it."""
    tail: Tail = "steps"

    def __post_init__(self) -> None:
        if self.sample is not None and self.sample < 1:
            raise UsageError(f"--sample {self.sample}: expected at least one point")


class SweepSpec(SweepOptions, frozen=True, kw_only=True):
    """The same, and how the job is started again at each point."""

    is_chained: bool = False
    """Plans of earlier releases say nothing of it."""
    restarts: Restarts
    num_points: int | None = None
    """All points, those that were not drawn included; None until the references have shown how long training is."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that one command will do."""

    version: int = PLAN_VERSION
    command: Command
    script: Script
    torchrun: Flags
    """torchrun's own flags, by the names of its parser; the node builds its `LaunchConfig` from them."""
    topology: Topology
    """Which nodes there are and where they meet, as these flags say it."""
    scenarios: tuple[Scenario, ...]
    seed: int
    """Seed of every draw that was made for this plan."""
    recording: Recording = "full"
    """full: all that a rank does. ends: only how it begins and ends, which costs a training job nothing."""
    content: bool = False
    """Digest the content of every batch too, so that the same samples with a different augmentation show."""
    hang_timeout_s: float | None = None
    """A rank without progress for so long is ended; None: there is no watch."""
    grace_s: float | None = None
    """Between SIGTERM and SIGKILL for the ranks that survive one that died; None: torch's 30 s."""
    preload: tuple[str, ...] = ()
    """Modules that the fork server imports besides torch."""
    fresh_directory: bool = True
    """Each scenario gets a working directory of its own; False: the caller's (`resumable run`)."""
    sweep: SweepSpec | None = None
    containers: Containers | None = None
    """None: nodes are process trees of this machine."""

    def scenario(self, name: str) -> Scenario:
        """The scenario with this name, or a sweep's point on plain processes; KeyError if there is none."""
        for scenario in self.scenarios:
            if scenario.name == name:
                return scenario
            if self.sweep and on_plain_processes(scenario).name == name:
                return on_plain_processes(scenario)
        raise KeyError(name)

    @property
    def max_nproc_per_node(self) -> int:
        """Ranks that a node may have to run at once, before or after a restart."""
        after = [self.sweep.restarts.nproc_per_node] if self.sweep else []
        return max(*after, *(number for scenario in self.scenarios for number in scenario.nproc_per_start), 1)

    @property
    def points(self) -> tuple[Scenario, ...]:
        """The scenarios with faults: of a sweep, its points."""
        return tuple(scenario for scenario in self.scenarios if scenario.faults and not scenario.links)

    @property
    def chains(self) -> tuple[Scenario, ...]:
        """Of a sweep: the runs in which points are hit one after the other, in the order in which they were planned."""
        return tuple(scenario for scenario in self.scenarios if scenario.links)

    def chain_of(self, point: str, name: str) -> Scenario | None:
        """The chain of this name, if it hits this point: a stored verdict may name anything."""
        named = (chain for chain in self.chains if chain.name == name)
        return next((chain for chain in named if any(link.point == point for link in chain.links)), None)

    @property
    def references(self) -> tuple[Scenario, ...]:
        """The scenarios without a fault that a `verify` compares with."""
        return tuple(scenario for scenario in self.scenarios if not scenario.faults)


def on_plain_processes(scenario: Scenario) -> Scenario:
    """The same on plain processes, as torchrun starts them: what happens there too is not a warm node's doing."""
    return msgspec.structs.replace(scenario, name=f"{scenario.name}-plain", start_method="subprocess")
