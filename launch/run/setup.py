"""What every command that starts a job does: a run directory, a cluster, a way to show a path."""

from __future__ import annotations

import os
import time
from pathlib import Path

from resumable.launch.cluster import Cluster, LocalCluster
from resumable.launch.cluster.compose import ComposeCluster
from resumable.launch.errors import LaunchError
from resumable.launch.evidence.run_dir import RUNS, RunDir
from resumable.launch.plan.plan import Plan, Script


def create_run_dir(plan: Plan, *, run_dir: str | None = None, log_dir: str | None = None) -> RunDir:
    """A new folder with the plan in it, for nobody but its owner; one that is there already keeps its permissions.

    What lies in a new `runs` is none of the repository's that it may be in: git is told.

    Args:
        plan: To be carried out.
        run_dir: The folder; None: one with a fresh name.
        log_dir: Where that one is made; None: `runs`.

    Raises:
        LaunchError: the folder holds a run already, or cannot be written.
    """
    fresh = Path(log_dir or RUNS) / time.strftime(f"%Y%m%d-%H%M%S-{os.getpid()}")
    root = Path(run_dir) if run_dir else fresh
    made = RunDir(root=root.absolute())
    try:
        if not run_dir and not log_dir and not RUNS.exists():
            RUNS.mkdir(exist_ok=True)
            (RUNS / ".gitignore").write_text("*\n")
        made.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if made.plan_file.exists():
            raise LaunchError(f"--run-dir {root}: holds a run already; its evidence stays. Name a new folder")
        made.write_plan(plan)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error  # a path with a NUL byte is a ValueError
        advice = "" if run_dir else "; name a folder elsewhere with --run-dir"
        raise LaunchError(f"--run-dir {root}: cannot be written ({reason}){advice}") from error
    return made


def cluster_of(plan: Plan, run_dir: RunDir, *, name: str = "") -> Cluster:
    """The nodes that a plan asks for, not started yet; a production job's print to the caller's own output.

    Args:
        plan: Already stored in `run_dir`.
        run_dir: Gets what the nodes print.
        name: Of the folder for that, where several clusters share a run directory.
    """
    topology, log_dir = plan.topology, run_dir.root / "nodes" / name
    if plan.containers is not None:
        return ComposeCluster(
            topology,
            compose_file=Path(plan.containers.compose_file),
            image=plan.containers.image,
            run_dir=run_dir.root,
            code_dir=_code_dir(plan.script, run_dir),
            preload=plan.preload,
            log_dir=log_dir,
        )
    return LocalCluster(
        topology,
        nproc_per_node=plan.max_nproc_per_node,
        preload=plan.preload,
        log_dir=None if plan.command == "run" else log_dir,
    )


def _code_dir(script: Script, run_dir: RunDir) -> Path:
    """The folder that containers must see to find the script; an installed module is in the image."""
    if script.is_module or script.is_function or script.is_program:
        return run_dir.root
    return Path(script.path).parent
