"""The files that `resumable report` and `sweep` write, and the flags that ask for them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from resumable.launch.errors import LaunchError
from resumable.launch.judge.results import Results, encode_results
from resumable.launch.plan.argparse_private import FlagGroup
from resumable.launch.report.annotations import workflow_commands
from resumable.launch.report.html import html
from resumable.launch.report.junit import junit
from resumable.launch.report.markdown import markdown
from resumable.launch.system.environment import is_github_actions

STDOUT = "-"
_FORMATS = ("html", "junit", "json", "markdown")


def add_report_flags(parser: FlagGroup) -> None:
    """Give `parser` one flag for each format, and `--strict`."""
    parser.add_argument("--html", metavar="F", help="write one HTML page that stands alone; - is the standard output")
    parser.add_argument("--junit", metavar="F", help="write JUnit XML: a test case for each scenario")
    parser.add_argument("--json", metavar="F", help="write results.json, with everything in it")
    parser.add_argument("--markdown", metavar="F", help='write Markdown, as for "$GITHUB_STEP_SUMMARY"')
    parser.add_argument("--strict", action="store_true", help="UNKNOWN is a failure in JUnit, an error on GitHub")


def is_any_report_wanted(arguments: argparse.Namespace) -> bool:
    """Whether `write_reports` would write anything: a file, or annotations in GitHub Actions."""
    return any(getattr(arguments, name) for name in _FORMATS) or is_github_actions()


def write_reports(arguments: argparse.Namespace, results: Results) -> None:
    """Write the files that were asked for; in GitHub Actions print annotations besides.

    Args:
        arguments: As parsed by `add_report_flags`.
        results: What came of the command.

    Raises:
        LaunchError: a file cannot be written; the message names its flag.
    """
    renderings: dict[str, Callable[[], bytes]] = {
        "html": lambda: _encoded(html(results)),
        "junit": lambda: junit(results, strict=arguments.strict),
        "json": lambda: encode_results(results),
        "markdown": lambda: _encoded(markdown(results)),
    }
    for name, rendering in renderings.items():
        target = getattr(arguments, name)
        if target is not None:
            write_output(f"--{name}", target, rendering())
    if is_github_actions():
        print("\n".join(workflow_commands(results, here=Path.cwd(), strict=arguments.strict)))


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def write_output(flag: str, target: str, content: bytes) -> None:
    """Write one file that a flag asked for; `-` is the standard output.

    Raises:
        LaunchError: it cannot be written; the message names the flag.
    """
    if target == STDOUT:
        sys.stdout.buffer.write(content)
        sys.stdout.flush()
        return
    try:
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        Path(target).write_bytes(content)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error  # a path with a NUL byte is a ValueError
        raise LaunchError(f"{flag} {target}: cannot be written ({reason})") from error
