"""Measure the launcher: `python -m tests.benchmarks.launch FOLDER`."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from resumable.launch.system.environment import KEEPS
from tests.benchmarks.launch.phases import Phases
from tests.benchmarks.launch.runs import growing_sweep_s, mean_phases, sweep_s, two_cold_starts_s


def main() -> None:
    """Print where a point's time goes and what it compares with; keep table and figures in the folder."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.launch", description=__doc__)
    parser.add_argument("folder", type=Path, help="where launch.txt and launch.json go")
    parser.add_argument("--ranks", type=int, nargs="+", default=[2, 4], help="numbers of ranks (default: 2 4)")
    parser.add_argument("--num-points", type=int, default=10, help="warm points to measure (default: %(default)s)")
    parser.add_argument("--steps", type=int, nargs="*", default=[50, 200, 800], help="lengths of a job that is swept")
    parser.add_argument("--no-whole", action="store_true", help="leave out the sweep of every step and rank")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        phases = {num: warm_points(Path(scratch), num, arguments.num_points) for num in arguments.ranks}
        cold_s = {num: two_cold_starts_s(Path(scratch), num) for num in arguments.ranks}
        growing_s = {num: growing_sweep_s(Path(scratch) / f"steps-{num}", num) for num in arguments.steps}
        whole_s = None if arguments.no_whole else sweep_s(Path(scratch) / "whole", max(arguments.ranks))
    figures = {
        "phases_s": phases,
        "two_cold_starts_s": cold_s,
        "40_points_s": growing_s,
        "whole_sweep_s": whole_s,
        "recorder": _printed("recorder"),
        "step_cost": _printed("step_cost"),
        "judging": _printed("judging"),
    }
    (arguments.folder / "launch.json").write_text(json.dumps(figures, indent=2) + "\n")
    with (arguments.folder / "launch.txt").open("w") as file:
        for console in (Console(width=110), Console(file=file, width=110)):
            console.print(phase_table(phases, cold_s))
            for line in sentences(figures, max(arguments.ranks)):
                console.print(line, highlight=False)


def warm_points(scratch: Path, num_ranks: int, num_points: int) -> Phases:
    """The phases of drawn points of the built-in job, one after the other."""
    run_dir = scratch / f"warm-{num_ranks}"
    sweep_s(run_dir, num_ranks, "--no-chain", "--jobs", "1", "--sample", str(num_points + 1))
    return mean_phases(run_dir)


def phase_table(phases: Mapping[int, Phases], cold_s: Mapping[int, float]) -> Table:
    """A column for each number of ranks, and at its foot the comparison with two cold starts."""
    table = Table(title="One warm kill point of the built-in job, ms")
    table.add_column("phase")
    for num_ranks in phases:
        table.add_column(f"{num_ranks} ranks", justify="right")
    for name in next(iter(phases.values())):
        table.add_row(name, *(f"{point[name] * 1000:.0f}" for point in phases.values()))
    table.add_section()
    warm_s = {num_ranks: sum(point.values()) for num_ranks, point in phases.items()}
    table.add_row("the whole point", *(f"{warm_s[num_ranks] * 1000:.0f}" for num_ranks in phases))
    table.add_row("two cold starts of torchrun", *(f"{cold_s[num_ranks] * 1000:.0f}" for num_ranks in phases))
    table.add_row("ratio", *(f"1 : {cold_s[num_ranks] / warm_s[num_ranks]:.1f}" for num_ranks in phases))
    return table


def sentences(figures: Mapping[str, Any], num_ranks: int) -> Iterator[str]:
    """What is no table."""
    if figures["whole_sweep_s"] is not None:
        yield f"every step of every rank, {num_ranks} ranks: {figures['whole_sweep_s']:.0f} s, all VALID"
    for num_steps, points_s in figures["40_points_s"].items():
        yield f"40 points of a job of {num_steps} steps, chained: {points_s:.0f} s"
    for judged in figures["judging"]:
        yield (
            f"judging {judged['num_batches']} batches: {judged['cpu_s']:.1f} s of processor time, "
            f"{judged['peak_mib']:.0f} MiB"
        )
    cost = figures["step_cost"]
    for what, figure in (("added", "share"), ("spent within it", "own_share")):
        shares = ", ".join(f"{cost[f'{keep}_{figure}']:.1%} with --keep {keep}" for keep in KEEPS)
        yield f"recorder, of a step of {cost['step_ms']:.0f} ms with {cost['num_tensors']:.0f} tensors, {what}: {shares}"
    recorder = figures["recorder"]
    yield (
        f"recorder: {recorder['recorder_us']:.1f} µs a batch of {recorder['batch_size']} indices "
        f"({recorder['plain_us']:.1f} µs without it)"
    )
    yield (
        f"evidence of a batch of {recorder['large_batch_size']} indices: {recorder['bytes_sequential']:.0f} bytes in order, "
        f"{recorder['bytes_shuffled']:.0f} shuffled"
    )
    yield f"content digest: {recorder['digest_ms_per_mb']:.3f} ms a MB"


def _printed(name: str) -> Any:
    """Figures that a module of this package prints as JSON, in a process of its own."""
    words = [sys.executable, "-m", f"tests.benchmarks.launch.{name}"]
    return json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout)


if __name__ == "__main__":
    main()
