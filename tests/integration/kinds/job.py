"""Trains in the way of one kind, rightly or with the bug that is named.

job.py KIND [--bug BUG] [ARGUMENT]
"""

from __future__ import annotations

import argparse

import files
import frame
import places
import states
import steps
import torch.distributed as dist


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind")
    parser.add_argument("--bug", default="")
    parser.add_argument("argument", nargs="?")
    options = parser.parse_args()
    dist.init_process_group("gloo")
    kinds = {name: kind for module in (steps, places, states, files) for name, kind in vars(module).items()}
    job: frame.Job = kinds[options.kind](options.bug)
    job.resume()
    job.train()


if __name__ == "__main__":
    main()
