"""The files that `resumable report` and `sweep` write."""

from __future__ import annotations

import shutil
import sys
import tempfile
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import IO

import msgspec

from resumable.launch.errors import LaunchError
from resumable.launch.evidence.bundle import bundle
from resumable.launch.judge.results import Results, encode_results
from resumable.launch.report.annotations import workflow_commands
from resumable.launch.report.reading import CaseEvidence
from resumable.launch.system.environment import is_github_actions
from resumable.launch.system.safe_io import leads_out

STDOUT = "-"


class ReportOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The files that are asked for, by path; `-` is the standard output, None is not wanted."""

    html: str | None = None
    junit: str | None = None
    json: str | None = None
    markdown: str | None = None
    trace: str | None = None
    bundle: str | None = None
    is_strict: bool = False
    """UNKNOWN is a failure in JUnit and an error on GitHub."""

    @property
    def targets(self) -> list[str]:
        """What is written to, the standard output among it."""
        wanted = (self.html, self.junit, self.json, self.markdown, self.trace, self.bundle)
        return [target for target in wanted if target is not None]

    @property
    def is_any_wanted(self) -> bool:
        """Whether `write_reports` would write anything: a file, or annotations in GitHub Actions."""
        return bool(self.targets) or is_github_actions()


def write_reports(wanted: ReportOptions, results: Results, cases: CaseEvidence) -> None:
    """Write the files that are asked for; in GitHub Actions print annotations besides.

    Args:
        wanted: Which files.
        results: What came of the command.
        cases: The evidence on its cases, for what shows more than their verdicts.

    Raises:
        LaunchError: a file cannot be written; the message names its flag.
    """
    write = partial(write_output, untrusted=Path(results.run_dir))
    # What renders is imported where it is asked for: most commands write no file.
    if wanted.html is not None:
        from resumable.launch.report.html import html

        write("--html", wanted.html, _encoded(html(results, cases)))
    if wanted.junit is not None:
        from resumable.launch.report.junit import junit

        write("--junit", wanted.junit, junit(results, strict=wanted.is_strict))
    if wanted.json is not None:
        write("--json", wanted.json, encode_results(results))
    if wanted.markdown is not None:
        from resumable.launch.report.markdown import markdown

        write("--markdown", wanted.markdown, _encoded(markdown(results)))
    if wanted.trace is not None:
        from resumable.launch.report.trace import trace

        write("--trace", wanted.trace, trace(results, cases))
    if wanted.bundle is not None:
        from resumable.launch.report.html import html

        extra = {"report.html": _encoded(html(results, cases)), "results.json": encode_results(results)}
        with tempfile.TemporaryFile() as file:  # all of it or nothing, and never all of it in memory
            bundle(cases.run_dir, file, extra)
            file.seek(0)
            write("--bundle", wanted.bundle, file)
    if is_github_actions():
        print("\n".join(workflow_commands(results, here=Path.cwd(), strict=wanted.is_strict)))


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def write_output(flag: str, target: str, content: bytes | IO[bytes], *, untrusted: Path | None = None) -> None:
    """Write one file that a flag asked for; `-` is the standard output.

    Args:
        flag: For the message of an error.
        target: Path of the file.
        content: What it will hold, or an open file from whose place on it is copied.
        untrusted: A folder that a stranger may have filled: no link in it is followed to the outside.

    Raises:
        LaunchError: it cannot be written; the message names the flag.
    """
    source = BytesIO(content) if isinstance(content, bytes) else content
    if target == STDOUT:
        shutil.copyfileobj(source, sys.stdout.buffer)
        sys.stdout.flush()
        return
    if untrusted is not None and leads_out(Path(target), untrusted):
        raise LaunchError(f"{flag} {target}: a link leads out of the run directory")
    try:
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        with Path(target).open("wb") as file:
            shutil.copyfileobj(source, file)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error  # a path with a NUL byte is a ValueError
        raise LaunchError(f"{flag} {target}: cannot be written ({reason})") from error
