"""The environment variables of the launcher: the one place that reads or names them.

torchrun's own variables reach a rank from torch's elastic agent. Ours travel beside them and say where the evidence goes.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

SCENARIO_DIR = "RESUMABLE_SCENARIO_DIR"
INCARNATION = "RESUMABLE_INCARNATION"
NODE_NUMBER = "RESUMABLE_NODE_NUMBER"
"""The node as its supervisor counts: it stays when `GROUP_RANK` moves."""
_COMPOSE_PREFIX = "RESUMABLE_"
NODE_TAG = "RESUMABLE_NODE"
"""Unique to one node process and inherited by all that it starts: how what is left of a job is found."""
_COMPILE_CACHE = "TORCHINDUCTOR_CACHE_DIR"

Keep = Literal["samples", "batches", "quick"]
"""How much is kept of a training: the samples of each batch and the state after each step; or of each batch a digest, which
is short for large ones too; or that, and of the state only what processes start from, save and end with."""

RECORD = "RESUMABLE_RECORD"
"""Where the ranks of a job are recorded that somebody else starts: set by `resumable record`, or by the user."""
_RECORDED_SCENARIO = "RESUMABLE_RECORD_SCENARIO"
_KEEP = "RESUMABLE_KEEP"
KEEPS: tuple[Keep, ...] = get_args(Keep)


@dataclass(frozen=True, kw_only=True)
class Recording:
    """Where this process is recorded, should it be a rank."""

    run_dir: Path
    scenario: str = "run"
    keep: Keep = "samples"

    def environment(self, *, site: Path) -> dict[str, str]:
        """The caller's environment for a command whose ranks are to be recorded.

        Args:
            site: A folder whose `sitecustomize` brings the recorder into interpreters that have not installed it.
        """
        path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
        said = {RECORD: str(self.run_dir), _RECORDED_SCENARIO: self.scenario, _KEEP: self.keep}
        return {**os.environ, **said, "PYTHONPATH": path}


def with_folder(environment: Mapping[str, str], folder: str) -> dict[str, str]:
    """The same for a command that runs elsewhere, and whose Python looks for modules in this folder all the same."""
    return {**environment, "PYTHONPATH": os.pathsep.join([environment["PYTHONPATH"], folder])}


def recording() -> Recording | None:
    """Where this process is to be recorded; None if nobody asks for it."""
    folder = os.environ.get(RECORD)
    if not folder:
        return None
    scenario, said = os.environ.get(_RECORDED_SCENARIO) or "run", os.environ.get(_KEEP)
    keep = next((keep for keep in KEEPS if keep == said), KEEPS[0])
    return Recording(run_dir=Path(folder).absolute(), scenario=scenario, keep=keep)


def cache_folder() -> Path:
    """What the user's commands keep for each other, and anybody may remove."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "resumable"


def said_rank() -> tuple[int, int] | None:
    """Rank and number of ranks as launchers say them; None where one of the two is missing or no number."""
    try:
        return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    except (KeyError, ValueError):
        return None


def said_job() -> tuple[str, int]:
    """The scheduler's name of the job that this process belongs to, and how often it was requeued; "" where none says it."""
    job = os.environ.get("SLURM_JOB_ID")
    try:
        attempt = int(os.environ.get("SLURM_RESTART_COUNT", "0"))  # not set in the first
    except ValueError:
        attempt = 0
    return f"Slurm {job}" if job else "", attempt


def said_local_rank() -> int:
    """Rank on this machine as launchers and schedulers say it; 0 where none does."""
    for name in ("LOCAL_RANK", "SLURM_LOCALID"):
        with contextlib.suppress(KeyError, ValueError):
            return int(os.environ[name])
    return 0


@dataclass(frozen=True, kw_only=True)
class RankEnvironment:
    """What a rank learns from its environment."""

    rank: int
    local_rank: int
    world_size: int
    node: int
    """Group rank of the node."""
    node_number: int
    """Number of the node at its supervisor."""
    incarnation: int
    scenario_dir: Path

    @classmethod
    def read(cls) -> RankEnvironment:
        """The environment of this process; KeyError if no node of ours started it."""
        return cls(
            rank=int(os.environ["RANK"]),
            local_rank=int(os.environ["LOCAL_RANK"]),
            world_size=int(os.environ["WORLD_SIZE"]),
            node=int(os.environ["GROUP_RANK"]),
            node_number=int(os.environ[NODE_NUMBER]),
            incarnation=int(os.environ[INCARNATION]),
            scenario_dir=Path(os.environ[SCENARIO_DIR]),
        )


def rank_variables(*, scenario_dir: Path, incarnation: int, node_number: int) -> dict[str, str]:
    """What the node adds to the variables that torch's agent gives a rank."""
    return {SCENARIO_DIR: str(scenario_dir), INCARNATION: str(incarnation), NODE_NUMBER: str(node_number)}


def node_environment(*, tag: str, nproc_per_node: int, one_machine: bool) -> dict[str, str]:
    """A node's environment: the caller's, with what torchrun sets, and what one machine needs so that gloo finds itself.

    Args:
        tag: Unique name of the node process.
        nproc_per_node: Ranks on the node; with more than one, `OMP_NUM_THREADS` becomes 1 as under torchrun.
        one_machine: All nodes are on this machine: gloo is held to the loopback interface, because without that it would
            resolve the host's name, which can stall or give an address that nobody listens on.
    """
    defaults = {"TORCH_MP_PARALLEL_START": "1"}
    if nproc_per_node > 1:
        defaults["OMP_NUM_THREADS"] = "1"
    if one_machine:
        defaults["GLOO_SOCKET_IFNAME"] = "lo"
    callers = {name: value for name, value in os.environ.items() if name != RECORD}  # ranks of ours are recorded anyway
    return {**defaults, **callers, NODE_TAG: tag}


def compose_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """The caller's environment with what a compose file fills in.

    Args:
        settings: By name without its prefix: `image` becomes `RESUMABLE_IMAGE`.
    """
    return {**os.environ, **{f"{_COMPOSE_PREFIX}{name.upper()}": value for name, value in settings.items()}}


def tag_of(environment: Mapping[str, str]) -> str | None:
    """The node that a process with this environment belongs to."""
    return environment.get(NODE_TAG)


def own_tag() -> str | None:
    """The node that this process belongs to."""
    return tag_of(os.environ)


def take_tag(tag: str) -> None:
    """Let this process belong to a node, though it is a fork of one that carried another's tag, or nobody's.

    What others see of a process's environment is the memory in which it was given it. A fork inherits that, and can write
    to it.
    """
    getenv = ctypes.CDLL(None).getenv
    getenv.restype = ctypes.c_void_p
    ctypes.memmove(getenv(NODE_TAG.encode()), tag.encode(), len(tag))
    os.environ[NODE_TAG] = tag


def has_fixed_hash_seed() -> bool:
    """Whether every Python that is started has the same seed for its hashes."""
    return os.environ.get("PYTHONHASHSEED", "random") not in ("", "random")


def python_executable() -> str:
    """The interpreter for ranks, which torchrun lets the user choose through `PYTHON_EXEC`."""
    return os.environ.get("PYTHON_EXEC", sys.executable)


def has_compile_cache() -> bool:
    """Whether somebody has said where `torch.compile` keeps what it has compiled."""
    return _COMPILE_CACHE in os.environ


def forget_compile_cache() -> None:
    """Undo what the import of torch does about it: it makes an empty folder and names it to all that this process starts.

    Who compiles makes it again.
    """
    with contextlib.suppress(KeyError, OSError):
        Path(os.environ.pop(_COMPILE_CACHE)).rmdir()


def callers_error_file() -> Path | None:
    """Where the caller wants to read what ended the job, as torchrun passes it on."""
    name = os.environ.get("TORCHELASTIC_ERROR_FILE")
    return Path(name) if name else None


def has_width() -> bool:
    """Whether somebody says how many columns the output has."""
    return os.environ.get("COLUMNS", "").isdecimal()


def is_ci() -> bool:
    """Whether a CI system runs us: then nothing is redrawn."""
    return os.environ.get("CI", "").lower() not in ("", "0", "false")


def is_github_actions() -> bool:
    """Whether a workflow of GitHub runs us: then it reads commands from our output."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def gloo_interfaces() -> tuple[str, ...]:
    """The interfaces that gloo is configured to use; none if nothing is set."""
    return tuple(name for name in os.environ.get("GLOO_SOCKET_IFNAME", "").split(",") if name)
