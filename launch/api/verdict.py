"""A verdict for Python: what the command line prints and how to do it again come along."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Self

import msgspec
from rich.console import Console

from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.judge import verdict as judged
from resumable.launch.plan.plan import Plan
from resumable.launch.plan.repeat_command import repeat_command
from resumable.launch.report.terminal import explain, print_what_to_type
from resumable.launch.system.safe_io import last_lines
from resumable.launch.system.wording import shown

WIDTH = 100
"""Columns of the text of a verdict."""


class NotValidError(AssertionError):
    """A verdict that is not VALID was asserted to be; the message says what is wrong and what to do."""


class Verdict(judged.Verdict, frozen=True, kw_only=True):
    """The answer to one comparison: true if it is VALID.

    `assert_valid()` fails with all that is known; `assert verdict` with the reason.
    """

    run_dir: Path
    """The run directory, with the evidence of the run that was judged; `resumable check` and `report` read it."""
    explanation: str
    """What the command line prints at its end: what is wrong, where it stands, what to do."""
    repeat: str
    """One shell command that does it again; "" for a function, which only Python can call."""

    @classmethod
    def of(cls, verdict: judged.Verdict, plan: Plan, run_dir: RunDir) -> Self:
        """A verdict on the last scenario of a plan."""
        output = io.StringIO()
        console = Console(file=output, width=WIDTH, no_color=True, force_terminal=False)
        explain(verdict, run_dir, console)
        print_what_to_type(verdict, shown(run_dir.name), console)
        repeat = "" if plan.script.is_function else repeat_command(plan, plan.scenarios[-1])
        return cls.with_text(verdict, run_dir, explanation=output.getvalue(), repeat=repeat)

    @classmethod
    def with_text(cls, verdict: judged.Verdict, run_dir: RunDir, *, explanation: str, repeat: str) -> Self:
        """A verdict whose text is known."""
        fields = msgspec.structs.asdict(verdict)
        return cls(**fields, run_dir=run_dir.root, explanation=explanation, repeat=repeat)

    def __repr__(self) -> str:
        reason = f": {self.reason}" if self.reason else ""
        return f"<Verdict {self.outcome.upper()}{reason}>"

    def assert_valid(self) -> None:
        """Do nothing if it is VALID.

        Raises:
            NotValidError: it is not; an AssertionError that says why, where the evidence lies and how to do it again.
        """
        __tracebackhide__ = True
        if not self:
            again = f"\nrepeat: {self.repeat}" if self.repeat else ""
            raise NotValidError(f"{self.explanation.rstrip()}{again}")

    def logs(self, num_lines: int) -> list[tuple[str, list[str]]]:
        """What each rank printed last, by the file's name in the run directory: those that printed something.

        Not the errors of ranks that a fault ended, or the end of those: that others miss them is no news.
        """
        scenario = RunDir(root=self.run_dir).scenario(self.scenario)
        ended = {event.incarnation for event in self.fired_faults} - {one.number for one in self.incarnations[-1:]}
        planned = {scenario.incarnation_logs(number) for number in ended}
        errors = (file for file in scenario.logs.glob("*/rank*.err") if file.parent not in planned)
        files = sorted([*scenario.logs.glob("*/rank*.out"), *errors])
        ends = (
            (str(file.relative_to(self.run_dir)), last_lines(file, num_lines, within=self.run_dir)) for file in files
        )
        return [(name, lines) for name, lines in ends if lines]
