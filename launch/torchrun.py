"""torchrun's own flags: its parser is the base of ours, and what it parsed travels in the plan as plain values."""

from __future__ import annotations

import argparse

_OURS = ("start_method", "training_script", "training_script_args", "run_path", "nproc_per_node", "max_restarts")
"""Flags that the plan holds elsewhere, or that a node sets for each start."""

Flags = dict[str, int | float | str | bool | list[str] | None]


def add_torchrun_flags(parser: argparse._ActionsContainer) -> None:
    """Give `parser`, or a group of it, torchrun's options with their spellings, defaults and help.

    Not `--start-method`, which means something else here, and `--run-path`, which every script is run by.
    """
    from torch.distributed.run import get_args_parser  # noqa: PLC0415 - `resumable check` runs without torch

    for action in get_args_parser()._actions:
        if action.option_strings and action.dest not in ("help", "start_method", "run_path"):
            parser._add_action(action)


def flags_of(arguments: argparse.Namespace) -> Flags:
    """Torchrun's flags in parsed arguments, as a plan holds them."""
    from torch.distributed.run import get_args_parser  # noqa: PLC0415

    names = [action.dest for action in get_args_parser()._actions if action.dest not in ("help", *_OURS)]
    return {name: getattr(arguments, name) for name in names} | {"run_path": False, "start_method": "spawn"}


def num_ranks(nproc_per_node: str) -> int:
    """Ranks on one node: a number, or what `auto`, `cpu` and `gpu` stand for on this machine.

    Raises:
        ValueError: none of these, or this machine has no such device.
    """
    from torch.distributed.run import determine_local_world_size  # noqa: PLC0415

    return int(determine_local_world_size(nproc_per_node))
