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

NUM_STEPS = {2: 80, 3: 56, 4: 40}
STEPS_AN_EPOCH = {2: 20, 3: 14, 4: 10}
SAVE_EVERY = 5
ENDS = ("sigkill", "sigkill", "sigterm(grace=20)", "sigterm(grace=0)", "sigint", "exit(3)", "exception", "abort")
DAMAGES = ("torn", "torn(keep=0)", "corrupt")
SAVE_ERRORS = ("diskfull", "ioerror")
KINDS = (*ENDS, *DAMAGES, *SAVE_ERRORS, "hang", "sigstop", "loaderkill")
VARIANTS = ((), (), ("--drop-last",), ("--no-shuffle",), ("--num-samples", "1003"))
WORKERS = ("--workers", "2")


def draw_command(number: int) -> list[str]:
    """The arguments of run `number`: ranks, one or two faults, a variant of the job."""
    draw = random.Random(f"soak/{number}")
    num_ranks = draw.choice(sorted(NUM_STEPS))
    # In the first half of training, so that the resume has something to prove.
    step = draw.randrange(NUM_STEPS[num_ranks] // 2)
    kind = draw.choice(KINDS)
    faults = [f"{kind}@{draw_first(draw, kind, step, STEPS_AN_EPOCH[num_ranks])}"]
    if draw.random() < 0.5:
        faults.append(f"{draw.choice(ENDS)}@{draw_later(draw, step)}")
    options = [word for fault in faults for word in ("--fault", fault)]
    workers = WORKERS if kind == "loaderkill" or draw.random() < 0.2 else ()
    job = ("-m", "launch.jobs.digits", *draw.choice(VARIANTS), *workers)
    return ["verify", "--nproc-per-node", str(num_ranks), "--seed", str(number), *options, *job]


def draw_first(draw: random.Random, kind: str, step: int, steps_an_epoch: int) -> str:
    """A moment that this kind can have, at about this step, and whom it hits; rank 0 alone saves."""
    number = step // SAVE_EVERY
    if kind in SAVE_ERRORS:
        return f"save#{number}:rank=0"
    if kind in DAMAGES:
        return draw.choice((f"save#{number}:rank=0", f"step={step + SAVE_EVERY}:rank=0"))
    epoch, batch = divmod(step, steps_an_epoch)
    save = f"save#{number}+{draw.choice(('before', 'during', 'after'))}:rank=0"
    moments = (f"step={step}", f"batch={step}", f"epoch={epoch},batch={batch}")
    return draw.choice((save, *(f"{moment}:{draw_who(draw)}" for moment in moments)))


def draw_later(draw: random.Random, step: int) -> str:
    """A moment of the restart, and whom it hits; rank 0 alone reads a checkpoint, where there is a whole one."""
    resume = f"resume+{draw.randrange(6)}:{draw_who(draw)}"
    return draw.choice((resume, "load#0:rank=0")) if step >= 2 * SAVE_EVERY else resume


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
