"""Verifies the built-in job again and again, each time under other faults: `python -m tests.soak --num-runs 50`.

Every run is drawn from its number alone, so that a run that fails can be repeated by its command, which is printed. The
job is correct, so everything but VALID is a fault of the rig; so is a process that a run leaves behind.
"""

from __future__ import annotations

import argparse
import random
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil

KINDS = ("sigkill", "exception", "exit(3)")
NUM_STEPS = {2: 80, 3: 56, 4: 40}
STEPS_AN_EPOCH = {2: 20, 3: 14, 4: 10}
VARIANTS = ((), ("--workers", "2"), ("--drop-last",), ("--no-shuffle",), ("--num-samples", "1003"))


def draw_command(number: int) -> list[str]:
    """The arguments of run `number`: ranks, one to three faults, a variant of the job."""
    draw = random.Random(f"soak/{number}")
    num_ranks = draw.choice(sorted(NUM_STEPS))
    faults = [draw_first_fault(draw, num_ranks)]
    faults += [f"{draw.choice(KINDS)}@resume+{draw.randrange(6)}:{draw_who(draw)}"] * draw.randrange(2)
    options = [word for fault in faults for word in ("--fault", fault)]
    job = ("-m", "launch.jobs.digits", *draw.choice(VARIANTS))
    return ["verify", "--nproc-per-node", str(num_ranks), "--seed", str(number), *options, *job]


def draw_first_fault(draw: random.Random, num_ranks: int) -> str:
    """A fault in the first three quarters of training, so that the resume has something to prove."""
    step = draw.randrange(NUM_STEPS[num_ranks] // 2)
    epoch, batch = divmod(step, STEPS_AN_EPOCH[num_ranks])
    when = draw.choice((f"step={step}", f"batch={step}", f"epoch={epoch},batch={batch}"))
    return f"{draw.choice(KINDS)}@{when}:{draw_who(draw)}"


def draw_who(draw: random.Random) -> str:
    """One drawn rank, or all."""
    return draw.choice(("rank=any", "rank=any", "rank=all"))


def left_behind() -> list[str]:
    """Command lines of nodes, fork servers and ranks whose supervisor is gone."""
    commands = {
        process: " ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline", "ppid"])
    }
    return [
        command
        for process, command in commands.items()
        if process.info["ppid"] == 1 and ("launch.node_main" in command or "launch.worker" in command)
    ]


def main() -> int:
    """Run them; 0 if every one was VALID and left nothing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num-runs", type=int, default=50)
    parser.add_argument("--first", type=int, default=1, help="number of the first run")
    arguments = parser.parse_args()
    failures = 0
    for number in range(arguments.first, arguments.first + arguments.num_runs):
        command = draw_command(number)
        with tempfile.TemporaryDirectory(prefix="resumable-soak-") as folder:
            run_dir = Path(folder) / "run"
            launch = [sys.executable, "-m", "launch", command[0], "--quiet", "--run-dir", str(run_dir), *command[1:]]
            ended = subprocess.run(launch, capture_output=True, text=True, check=False, cwd=folder)
            stray = left_behind()
        is_good = ended.returncode == 0 and not stray
        failures += not is_good
        print(f"{number:4d} {'VALID' if is_good else 'FAILED'}  resumable {shlex.join(command)}", flush=True)
        if not is_good:
            print(ended.stdout + ended.stderr, *stray, sep="\n", flush=True)
    print(f"{arguments.num_runs - failures} of {arguments.num_runs} VALID")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
