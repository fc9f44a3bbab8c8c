"""What every command that starts a job does: a run directory, a cluster, a way to show a path."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from launch.cluster import Cluster, LocalCluster
from launch.cluster.compose import ComposeCluster
from launch.errors import LaunchError
from launch.plan import Plan, Script
from launch.rundir import RunDir
from launch.topology import Topology


def create_run_dir(arguments: argparse.Namespace, plan: Plan) -> RunDir:
    """A new folder with the plan in it.

    Raises:
        LaunchError: the folder holds a run already, or cannot be written.
    """
    fresh = Path(arguments.log_dir or "runs") / time.strftime(f"%Y%m%d-%H%M%S-{os.getpid()}")
    root = Path(arguments.run_dir) if arguments.run_dir else fresh
    run_dir = RunDir(root=root.absolute())
    try:
        run_dir.root.mkdir(parents=True, exist_ok=True)
        if run_dir.plan_file.exists():
            raise LaunchError(f"--run-dir {root}: holds a run already; its evidence stays. Name a new folder")
        run_dir.write_plan(plan)
    except OSError as error:
        raise LaunchError(f"--run-dir {root}: cannot be written ({error.strerror})") from error
    return run_dir


def cluster_of(plan: Plan, run_dir: RunDir) -> Cluster:
    """The nodes that a plan asks for, not started yet; a production job's print to the caller's own output."""
    topology = Topology.of(plan)
    if plan.containers is not None:
        return ComposeCluster(
            topology,
            compose_file=Path(plan.containers.compose_file),
            image=plan.containers.image,
            run_dir=run_dir.root,
            code_dir=_code_dir(plan.script, run_dir),
            preload=plan.preload,
            log_dir=run_dir.root / "nodes",
        )
    return LocalCluster(
        topology,
        nproc_per_node=max(max(scenario.nproc_per_start) for scenario in plan.scenarios),
        preload=plan.preload,
        log_dir=None if plan.command == "run" else run_dir.root / "nodes",
    )


def _code_dir(script: Script, run_dir: RunDir) -> Path:
    """The folder that containers must see to find the script; an installed module is in the image."""
    if script.is_module or script.is_function or script.is_program:
        return run_dir.root
    return Path(script.path).parent


def shown(path: Path) -> str:
    """Relative to where the user stands, if it lies below."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
