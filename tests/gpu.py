"""Verifies jobs on the GPUs of this machine, as `tests/noise.py` does without any: `python -m tests.gpu`.

First what the recorder adds to a step. Then NCCL over one GPU and over all, in bf16 and in fp16 under a gradient scaler,
with attention whose backward pass does not repeat. Half of the runs lose a part of their state after the restart: each must
come out INVALID by the check `restored`, each of the others VALID. Without a GPU it says so and ends well; `--device cpu` is
a rehearsal of the runs with gloo.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import torch

from resumable.launch import Launcher
from tests.benchmarks.launch.step_cost import measured
from tests.noise import draw, found, told

JOB = str(Path(__file__).parent / "integration/jobs/accelerated.py")
PRECISIONS = ("bf16", "fp16")


def wrong_runs(arguments: argparse.Namespace, world_size: int, precision: str, until: float) -> int:
    """Verify the job again and again.

    Args:
        arguments: Of the command line.
        world_size: Ranks.
        precision: Of its numbers.
        until: No run begins later (`time.monotonic`).

    Returns:
        How many runs came out different than they should, or were not even begun in time.
    """
    job = (JOB, "--device", arguments.device, "--precision", precision)
    root = Path(tempfile.mkdtemp(prefix="gpu-"))
    counts: Counter[tuple[str, bool]] = Counter()
    print(f"{world_size} x {arguments.device}, {precision}:", flush=True)
    with Launcher(world_size, root=root) as launcher:
        references = [launcher.run(*job) for _ in range(2)]
        for number in range(1, arguments.num_runs + 1):
            if time.monotonic() > until:
                print(f"  no time left for runs {number} to {arguments.num_runs}", flush=True)
                break
            drawn = draw(number, world_size)
            outcome, reason, result = found(launcher, drawn, references, job)
            is_right = outcome == drawn.expected
            counts["planted" if drawn.lost else "right", is_right] += 1
            print(f"  {number:4d} {'ok' if is_right else 'WRONG'}  {drawn}: {outcome} {reason}", flush=True)
            if is_right:
                shutil.rmtree(result.run_dir.root)
    print(f"  {told(counts)}", flush=True)
    num_right = counts["planted", True] + counts["right", True]
    if num_right == arguments.num_runs:
        shutil.rmtree(root)
    return arguments.num_runs - num_right


def main(argv: Sequence[str] | None = None) -> int:
    """Run it; 0 if each run came out as it should, or if there is no GPU."""
    parser = argparse.ArgumentParser(prog="python -m tests.gpu", description=__doc__)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda", help="cpu: a rehearsal, with gloo")
    parser.add_argument("--num-runs", type=int, default=10, help="of each kind (default: %(default)s)")
    parser.add_argument("--limit-s", type=float, default=400, help="no run begins later (default: %(default)s)")
    arguments = parser.parse_args(argv)
    if arguments.device == "cuda" and not torch.cuda.is_available():
        print("NOTHING OF THIS WAS RUN: torch finds no GPU with CUDA on this machine. `--device cpu` is a rehearsal.")
        return 0
    until = time.monotonic() + arguments.limit_s
    num_gpus = torch.cuda.device_count() if arguments.device == "cuda" else 2
    if arguments.device == "cuda":
        print(", ".join(f"{name} {value:.4g}" for name, value in measured("cuda").items()), flush=True)
    cases = list(product(sorted({1, num_gpus}), PRECISIONS))
    begin, share = time.monotonic(), (until - time.monotonic()) / len(cases)
    num_wrong = sum(
        wrong_runs(arguments, world_size, precision, begin + share * number)
        for number, (world_size, precision) in enumerate(cases, start=1)
    )
    print("all right" if not num_wrong else f"{num_wrong} runs wrong or left out")
    return int(num_wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
