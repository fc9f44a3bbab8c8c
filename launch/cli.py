"""The command `resumable`: arguments in, exit code out."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from importlib import import_module

from rich.console import Console

from launch.arguments import parse
from launch.environment import is_ci
from launch.errors import LaunchError, NodeError

_USAGE, _UNKNOWN, _INTERNAL = 2, 3, 70


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out one command; returns its exit code."""
    console = Console(stderr=False, force_terminal=False if is_ci() else None, highlight=False)
    try:
        arguments = parse(sys.argv[1:] if argv is None else argv)
        # `launch.commands.verify.verify` and its like; only the command that is asked for is imported.
        command = getattr(import_module(f"launch.commands.{arguments.command}"), arguments.command)
        return int(command(arguments, console))
    except NodeError as error:
        print(f"resumable: {error}", file=sys.stderr)
        return _UNKNOWN
    except LaunchError as error:
        print(f"resumable: {error}", file=sys.stderr)
        return _USAGE
    except Exception:
        # Whatever was not foreseen is ours to mend: told apart from every verdict.
        traceback.print_exc()
        return _INTERNAL
