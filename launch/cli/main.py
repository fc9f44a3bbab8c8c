"""The command `resumable`: arguments in, exit code out."""

from __future__ import annotations

import contextlib
import errno
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module

from resumable.launch.cli.parser import is_somebody_elses, parse
from resumable.launch.errors import DamagedPlanError, LaunchError, NodeError
from resumable.launch.explain.outcome import ExitCode
from resumable.launch.system.environment import is_ci
from resumable.launch.system.offspring import leaving_none_behind
from resumable.launch.system.standard_streams import complain, discard_output, open_closed_streams

_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EACCES)
"""The state of a disk, or who may write there, and no error of ours."""


def command() -> int:
    """Carry out one command in a process of its own; returns its exit code. Nothing that it started outlives it."""
    open_closed_streams()
    with contextlib.nullcontext() if is_somebody_elses(sys.argv[1:]) else leaving_none_behind():
        return main()


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out one command; returns its exit code."""
    code = _carried_out(argv)
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read it has left, as `head` does
        discard_output()
    except OSError as error:
        complain(f"standard output: {error.strerror}")
        discard_output()
        return code or ExitCode.UNKNOWN
    return code


def _carried_out(argv: Sequence[str] | None) -> int:
    try:
        arguments = parse(sys.argv[1:] if argv is None else argv)
        # `resumable.launch.cli.commands.verify.verify` and its like; only the command that is asked for is imported.
        command = getattr(import_module(f"resumable.launch.cli.commands.{arguments.command}"), arguments.command)
        from resumable.launch.system.console import OutputConsole  # noqa: PLC0415 - help and version need none

        return int(command(arguments, OutputConsole(force_terminal=False if is_ci() else None)))
    except LaunchError as error:
        complain(str(error))
        return ExitCode.UNKNOWN if isinstance(error, NodeError | DamagedPlanError) else ExitCode.USAGE
    except BrokenPipeError:
        discard_output()
        return ExitCode.BROKEN_PIPE
    except OSError as error:
        if error.errno not in _DISK_ERRORS:
            traceback.print_exc()
            return ExitCode.INTERNAL
        complain(f"{error.filename or 'cannot write'}: {error.strerror}")
        discard_output()
        return ExitCode.UNKNOWN
    except Exception:
        # Whatever was not foreseen is an error of ours to fix, and no verdict.
        traceback.print_exc()
        return ExitCode.INTERNAL
