"""torchrun's own options: its parser is the base of ours, and what it parsed travels on as plain values."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Mapping

from resumable.launch.cli.argparse_private import FlagGroup, add_option, options_of
from resumable.launch.errors import UsageError
from resumable.launch.plan.torchrun_flags import Flags

_OURS = frozenset(
    {"start_method", "training_script", "training_script_args", "nproc_per_node", "max_restarts", "log_dir"}
)
"""Options that stand elsewhere in a plan, or that mean something else here."""
_OPEN = ("max_restarts", "node_rank")
"""Options that are None where neither the command line nor torchrun's environment (`PET_...`) says anything."""


_NAMED = {
    "nnodes": "number of nodes, or a range as MIN:MAX (default: 1)",
    "nproc_per_node": "ranks on each node: a number, auto, cpu or gpu (default: 1)",
    "max_restarts": "how often the ranks are started again before the job has failed (default: as many as faults)",
    "module": "SCRIPT is a module, as behind `python -m`",
}
"""What the short help says of torchrun's flags; torchrun's own help takes as long as importing torch."""


def add_named_flags(parser: FlagGroup, names: Collection[str]) -> None:
    """Give `parser`, or a group of it, those of torchrun's options that are named, to be shown and not to be parsed."""
    for name in [name for name in _NAMED if name in names]:
        flag = f"--{name.replace('_', '-')}"
        if name == "module":
            parser.add_argument("-m", flag, action="store_true", help=_NAMED[name])
        else:
            parser.add_argument(flag, metavar="N", help=_NAMED[name])


def add_torchrun_flags(parser: FlagGroup) -> None:
    """Give `parser`, or a group of it, torchrun's options with their spellings, defaults (but see `_OPEN`) and help.

    Not `--start-method`, which means something else here.
    """
    for action in _options().values():
        if action.option_strings and action.dest != "start_method":
            add_option(parser, action)


def torchrun_flags(arguments: argparse.Namespace) -> Flags:
    """torchrun's flags in parsed arguments, by name; those that stand elsewhere in a plan are left out."""
    return {name: getattr(arguments, name) for name in _options() if name not in _OURS}


def torchrun_flags_with(values: Mapping[str, object]) -> tuple[Flags, int | None]:
    """torchrun's flags as they are where no command line says anything, but for these.

    Args:
        values: By name, of the type that the flag has, or as text.

    Returns:
        The flags, and how many restarts torchrun's environment asks for.

    Raises:
        UsageError: there is no such flag, or it takes a different value.
    """
    options = _options()
    for name in values:
        if name not in options or name in _OURS:
            raise UsageError(f"--{name.replace('_', '-')}: torchrun has no such flag, nor has resumable")
    parser = argparse.ArgumentParser(add_help=False)
    add_torchrun_flags(parser)
    defaults = parser.parse_args([])
    for name, value in values.items():
        setattr(defaults, name, _converted(options[name], value))
    return torchrun_flags(defaults), defaults.max_restarts


def _options() -> dict[str, argparse.Action]:
    try:
        from torch.distributed.run import get_args_parser  # noqa: PLC0415 - `resumable check` runs without torch
    except ModuleNotFoundError as error:
        raise UsageError(f"{sys.executable} has no module {error.name}: pip install torch") from error

    options = {action.dest: action for action in options_of(get_args_parser()) if action.dest != "help"}
    for name in _OPEN:
        # What the environment gives is text; a number is torch's own default, in which nobody asked for anything.
        if not isinstance(options[name].default, str):
            options[name].default = None
    return options


def _converted(option: argparse.Action, value: object) -> object:
    """The value as torchrun's parser would give it."""
    flag = f"--{option.dest.replace('_', '-')}"
    if option.nargs == 0 or isinstance(value, bool):
        if option.nargs != 0 or not isinstance(value, bool):
            raise UsageError(f"{flag} {value}: expected {'True or False' if option.nargs == 0 else 'a value'}")
        return value
    try:
        result = option.type(str(value)) if callable(option.type) else value
    except (ValueError, argparse.ArgumentTypeError) as error:
        raise UsageError(f"{flag} {value}: {error}") from error
    if option.choices is not None and result not in option.choices:
        raise UsageError(f"{flag} {value}: expected one of {', '.join(map(str, option.choices))}")
    return result
