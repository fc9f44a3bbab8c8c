"""What judging costs as a job grows: `python -m tests.benchmarks.launch.judging [--batches N...]` prints figures as JSON.

Two ranks, an undisturbed run twice and one that was killed in the middle: what `resumable check` reads and compares.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from resumable.launch.evidence.run_dir import RunDir
from tests.launch import histories
from tests.launch.histories import Job
from tests.launch.report.samples import store

_CHECK = """
import re, sys, time
from resumable.launch.cli.main import main
code = main(["check", "--quiet", sys.argv[1]])
print(time.process_time(), re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
sys.exit(code)
"""
"""As the command does it. What the system reports of a child's memory includes that of who started it."""
_NUM_RANKS, _NUM_RUNS, _EPOCH_STEPS, _BATCH_SIZE = 2, 3, 1000, 4


def main() -> None:
    """Print processor time and memory for each number of batches."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.launch.judging", description=__doc__)
    help_ = "batches of all runs and ranks together (default: 60000 240000)"
    parser.add_argument("--batches", type=int, nargs="+", default=[60_000, 240_000], help=help_)
    print(json.dumps([judged(num_batches) for num_batches in parser.parse_args().batches]))


def judged(num_batches: int) -> dict[str, float]:
    """What `check` needs for about so many batches; the verdict is VALID.

    Raises:
        subprocess.CalledProcessError: it is not.
    """
    num_epochs = max(2, round(num_batches / (_NUM_RANKS * _NUM_RUNS * _EPOCH_STEPS)))
    num_samples = _EPOCH_STEPS * _NUM_RANKS * _BATCH_SIZE
    job = Job(num_samples=num_samples, batch_size=_BATCH_SIZE, num_epochs=num_epochs, save_every=_EPOCH_STEPS)
    with tempfile.TemporaryDirectory() as folder:
        _write(RunDir(root=Path(folder)), job)
        printed = subprocess.run([sys.executable, "-c", _CHECK, folder], check=True, stdout=subprocess.PIPE).stdout
    num_judged = num_epochs * _NUM_RANKS * _NUM_RUNS * _EPOCH_STEPS
    cpu_s, peak_kib = printed.split()[-2:]
    return {"num_batches": num_judged, "cpu_s": float(cpu_s), "peak_mib": int(peak_kib) / 1024}


def _write(run_dir: RunDir, job: Job) -> None:
    """One run after the other, so that only one is in memory."""
    step = job.num_epochs // 2 * _EPOCH_STEPS
    killed = step + _EPOCH_STEPS // 2
    run_dir.write_plan(histories.plan(histories.sigkill(killed - 1)))
    for number in (1, 2):
        store(histories.reference(job, number), run_dir)
    lives = histories.killed(job, killed), histories.resumed(job, step)
    groups = [histories.group(job, own, incarnation=number) for number, own in enumerate(lives)]
    store(histories.history("faulted", [process for group in groups for process in group]), run_dir)


if __name__ == "__main__":
    main()
