"""What a command is asked for, as data: the border between the command line, Python code and the planner."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

from resumable.launch.errors import UsageError
from resumable.launch.plan.fault_model import FaultRequest
from resumable.launch.plan.plan import Command, RestartMethod, Script, StartMethod, SweepOptions
from resumable.launch.plan.torchrun_flags import Flags

ClusterKind = Literal["local", "compose"]

DEFAULT_IMAGE = "resumable:local"
DEFAULT_FAULT = "sigkill@step=7:rank=any"
"""What a `verify` does that names no fault."""


class JobOptions(msgspec.Struct, frozen=True, kw_only=True):
    """A job and what is to be done with it, before anything is decided or drawn.

    Raises:
        UsageError: a value that no job can have; the message names the flag.
    """

    command: Command
    script: Script
    torchrun: Flags
    """torchrun's own flags, by the names of its parser."""
    nproc_per_node: str = "1"
    """A number, or `auto`, `cpu` or `gpu`."""
    faults: tuple[FaultRequest, ...] = ()
    seed: int = 0
    start_method: StartMethod = "forkserver"
    restart: RestartMethod | None = None
    """None: as the faults need it."""
    restart_nproc_per_node: int | None = None
    """Ranks per node after the first restart; None: as before."""
    max_restarts: int | None = None
    """None: as many as the faults need."""
    hang_timeout_s: float | None = None
    """None: as the command and the faults need it."""
    grace_s: float | None = None
    is_recorded: bool = False
    """Record what is trained on even where nothing needs it."""
    content: bool = False
    num_references: int = 2
    """Uninterrupted runs to compare with: one alone cannot show whether the job repeats itself."""
    preload: tuple[str, ...] = ()
    cluster: ClusterKind = "local"
    image: str = DEFAULT_IMAGE
    compose_file: str | None = None
    sweep: SweepOptions | None = None
    """Of a sweep alone."""

    def __post_init__(self) -> None:
        _check_choice("--start-method", self.start_method, get_args(StartMethod))
        _check_choice("--restart", self.restart, (None, *get_args(RestartMethod)))
        _check_choice("--cluster", self.cluster, get_args(ClusterKind))
        _check_seconds("--hang-timeout", self.hang_timeout_s)
        _check_seconds("--grace", self.grace_s)
        if self.num_references < 2:
            raise UsageError(
                f"--references {self.num_references}: expected 2 or more; one run cannot show whether the job repeats itself"
            )
        if self.max_restarts is not None and not (isinstance(self.max_restarts, int) and self.max_restarts >= 0):
            raise UsageError(f"--max-restarts {self.max_restarts}: expected 0 or more")


def _check_choice(flag: str, value: str | None, choices: tuple[str | None, ...]) -> None:
    if value not in choices:
        raise UsageError(f"{flag} {value}: expected {' or '.join(filter(None, choices))}")


def _check_seconds(flag: str, value: float | None) -> None:
    if value is not None and not (isinstance(value, int | float) and 0 < value < float("inf")):
        raise UsageError(f"{flag} {value}: expected seconds above 0")
