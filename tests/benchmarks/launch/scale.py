"""Many ranks and many nodes on this machine: `python -m tests.benchmarks.launch.scale FOLDER [--ranks N...] [--nodes N...]`.

The ranks are one node's and train the built-in job, beside torchrun's. Nodes have one rank each; one is lost and replaced.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import psutil
from rich.console import Console
from rich.table import Table

from resumable.launch.evidence.history_reader import read_history
from resumable.launch.evidence.run_dir import RunDir
from tests.benchmarks.launch.phases import FORK, NOTICE, SETUP, phases_of
from tests.benchmarks.launch.scale_job import HELD, KILLED

_JOB = str(Path(__file__).with_name("scale_job.py"))
_BATCH_SIZE, _SAMPLES_A_RANK = 4, 24
"""Six steps an epoch, for up to 64 ranks."""
_TIMEOUT_S = 1800
_TORCHRUN_RANK_BYTES, _RANK_BYTES, _NODE_BYTES = 300 << 20, 100 << 20, 200 << 20
"""What each more takes, and somewhat more: a process that has imported torch; a fork of such a one; four forks."""


class Scale(msgspec.Struct, frozen=True, kw_only=True):
    """One job of which one rank was killed, or one node lost."""

    start_s: float
    """Until all ranks have trained their first batch: from the command on; nodes are warm."""
    restart_s: float
    """From the end of the one to where all have trained a batch again."""
    cpu_s: float
    """Processor time of the launcher and of all that it has started, up to the fifth step; of nodes, after two jobs more."""
    mib_a_rank: float
    """Memory of the same, divided by the ranks."""


def main() -> None:
    """Print the tables; keep them and the figures in the folder."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.launch.scale", description=__doc__)
    parser.add_argument("folder", type=Path, help="where scale.txt and scale.json go")
    parser.add_argument("--ranks", type=int, nargs="*", default=[16], help="numbers of ranks (default: 16)")
    parser.add_argument("--nodes", type=int, nargs="*", default=[4], help="numbers of nodes (default: 4)")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    kinds = (
        ("ranks, torchrun", arguments.ranks, of_torchrun, _TORCHRUN_RANK_BYTES),
        ("ranks", arguments.ranks, of_resumable, _RANK_BYTES),
        ("nodes", arguments.nodes, of_nodes, _NODE_BYTES),
    )
    figures: dict[str, Scale | None] = {}
    with tempfile.TemporaryDirectory() as scratch, (arguments.folder / "scale.txt").open("w") as file:
        for noun, numbers, measured, size_bytes in kinds:
            for number in numbers:
                name, has_room = f"{number} {noun}", number * size_bytes < psutil.virtual_memory().available
                figures[name] = measured(Path(scratch) / name.replace(", ", "-"), number) if has_room else None
        for console in (Console(width=110), Console(file=file, width=110)):
            console.print(table(figures))
    (arguments.folder / "scale.json").write_bytes(msgspec.json.format(msgspec.json.encode(figures)))


def table(figures: Mapping[str, Scale | None]) -> Table:
    """A line for each job; what was too much for the memory that is left has no figures."""
    made = Table(
        "",
        "first batch, s",
        "again, s",
        "CPU, s",
        "MiB a rank",
        title="Many ranks of the built-in job, one of them killed",
    )
    for name, scale in figures.items():
        numbers = (scale.start_s, scale.restart_s, scale.cpu_s, scale.mib_a_rank) if scale else ()
        made.add_row(name, *(f"{number:.1f}" for number in numbers))
    return made


def of_resumable(folder: Path, num_ranks: int) -> Scale:
    """One start of one node, whose launcher restarts the ranks.

    Raises:
        subprocess.CalledProcessError: the job did not come to its end.
    """
    words = ["-m", "resumable.launch", "run", "--max-restarts", "1", "--run-dir", str(folder / "run")]
    return _killed([*words, "--nproc-per-node", str(num_ranks)], folder, num_ranks=num_ranks, num_starts=1)


def of_torchrun(folder: Path, num_ranks: int) -> Scale:
    """Two starts: the first ends with the rank that was killed. torchrun's own restart does not work (pytorch#135712).

    Raises:
        subprocess.CalledProcessError: the job did not come to its end.
    """
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(num_ranks)]
    return _killed(words, folder, num_ranks=num_ranks, num_starts=2)


def of_nodes(folder: Path, num_nodes: int) -> Scale:
    """A `verify` of nodes with one rank each: the one that is lost is replaced by a cold one.

    Raises:
        subprocess.CalledProcessError: the resume was not VALID.
    """
    fault = f"nodeloss(replace=0)@step=6:node={num_nodes // 2}"
    words = ["-m", "resumable.launch", "verify", "--run-dir", str(folder), "--nnodes", str(num_nodes), "--fault", fault]
    _started(
        [*words, *_job("{run_dir}/notes", "{run_dir}/checkpoints", num_ranks=num_nodes, victim=-1)]
    ).check_returncode()
    made = RunDir(root=folder)
    faulted = made.scenario(made.read_plan().scenarios[-1].name)
    history = read_history(faulted)
    phases = phases_of(history, after_ns=min(round_.time_ns for round_ in history.rounds))
    cpu_s, mib = _held(next(faulted.root.rglob(HELD)))
    return Scale(
        start_s=phases[f"1. life: {FORK}"] + phases[f"1. life: {SETUP}"],
        restart_s=phases[NOTICE] + phases[f"2. life: {FORK}"] + phases[f"2. life: {SETUP}"],
        cpu_s=cpu_s,
        mib_a_rank=mib / num_nodes,
    )


def _killed(launcher: Sequence[str], folder: Path, *, num_ranks: int, num_starts: int) -> Scale:
    notes = folder / "notes"
    folder.mkdir()
    job = _job(str(notes), str(folder / "checkpoints"), num_ranks=num_ranks, victim=1)
    begin_s = time.monotonic()
    *_, last = [_started([*launcher, *job]) for _ in range(num_starts)]
    if len(list(notes.glob("life-1-*"))) < num_ranks:
        last.check_returncode()
    cpu_s, mib = _held(notes / HELD)
    return Scale(
        start_s=_last_s(notes, "life-0-*") - begin_s,
        restart_s=_last_s(notes, "life-1-*") - _last_s(notes, KILLED),
        cpu_s=cpu_s,
        mib_a_rank=mib / num_ranks,
    )


def _job(notes: str, checkpoints: str, *, num_ranks: int, victim: int) -> list[str]:
    size = ("--batch-size", str(_BATCH_SIZE), "--num-samples", str(_SAMPLES_A_RANK * num_ranks), "--epochs", "2")
    return [_JOB, notes, str(os.getpid()), str(victim), *size, "--checkpoints", checkpoints]


def _started(words: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, *words], check=False, timeout=_TIMEOUT_S, capture_output=True)


def _last_s(notes: Path, pattern: str) -> float:
    return max(float(note.read_text()) for note in notes.glob(pattern))


def _held(note: Path) -> tuple[float, float]:
    """Seconds and MiB."""
    size_bytes, cpu_s = note.read_text().split()
    return float(cpu_s), int(size_bytes) / (1 << 20)


if __name__ == "__main__":
    main()
