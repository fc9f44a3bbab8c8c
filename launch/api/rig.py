"""What a test gets as `resume_rig`: a launcher that knows the point of the test and remembers what it has judged."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar, Unpack

from resumable.launch.api.job import Faults, Job
from resumable.launch.api.job_result import JobResult
from resumable.launch.api.launcher import Launcher
from resumable.launch.api.mark import MarkedPoint
from resumable.launch.api.verdict import Verdict
from resumable.launch.errors import LaunchError, UsageError
from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.plan.sweep_words import SweepWords
from resumable.launch.reading.live_progress import RunProgress, num_steps_of
from resumable.launch.run.kept_references import KeptReferences

Args = ParamSpec("Args")
Returned = TypeVar("Returned")


def _refusing_at_the_call(method: Callable[Args, Returned]) -> Callable[Args, Returned]:
    """What a test asks for wrongly is shown where it asks, and not in our code."""

    @wraps(method)
    def called(*args: Args.args, **options: Args.kwargs) -> Returned:
        __tracebackhide__ = True
        try:
            return method(*args, **options)
        except LaunchError as error:
            raise error.with_traceback(None) from None

    return called


class ResumeRig:
    """Runs jobs, breaks them, and judges what came of it; `Launcher` says what arguments mean.

    Args:
        launcher: Runs them.
        point: Where the mark of the test hits its job; None: the test says it.
        references: Shared by the points of one test.
    """

    def __init__(self, launcher: Launcher, point: MarkedPoint | None, references: KeptReferences) -> None:
        self.launcher = launcher
        self.point = point
        """What the mark's `at=`, `ranks=` and `kinds=` have made of this test; None without them."""
        self.verdicts: list[Verdict] = []
        """All that was judged in this test."""
        self.notes: list[str] = []
        """What the author of the test should know, whatever came of it."""
        self._references = references

    @_refusing_at_the_call
    def run(self, job: Job | None = None, /, *arguments: object, faults: Faults = (), **options: object) -> JobResult:
        """Run a job to its end, restarts included; see `Launcher.run`."""
        return self.launcher.run(job, *arguments, faults=faults, **options)

    @_refusing_at_the_call
    def verify(
        self, job: Job | None = None, /, *arguments: object, faults: Faults | None = None, **options: object
    ) -> Verdict:
        """Run a job twice undisturbed and once with faults, and judge; see `Launcher.verify`.

        Args:
            job: As for `Launcher.run`.
            arguments: As for `Launcher.run`.
            faults: What is done to it; None: what the mark of this test says.
            options: As for `Launcher.run`.

        Raises:
            UsageError: neither the call nor the mark says what is to be done, or the mark's `steps` is not the job's.
        """
        if faults is not None:
            return self._kept(self.launcher.verify(job, *arguments, faults=faults, **options))
        if self.point is None:
            raise UsageError('expected faults= here, or at= in the mark, such as @pytest.mark.resume(at="3,10-20")')
        if self.point.sweep is not None:
            verdict = self._kept(self.launcher.sweep(job, *arguments, **self.point.sweep))
            self._note_steps(self.point.sweep, num_steps_of(_first_reference(verdict)))
            return verdict
        verdict = self._kept(self.launcher.verify_with(self._references, job, arguments, options, self.point.faults))
        self._refuse_steps(self.point.steps, num_steps_of(_first_reference(verdict)))
        return verdict

    @_refusing_at_the_call
    def sweep(
        self, job: Job | None = None, /, *arguments: object, budget: float | None = None, **words: Unpack[SweepWords]
    ) -> Verdict:
        """Hit a script at every point of its training, and judge all of them together; see `Launcher.sweep`."""
        return self._kept(self.launcher.sweep(job, *arguments, budget=budget, **words))

    def _note_steps(self, sweep: SweepWords, num_steps: int | None) -> None:
        """Say what gives each point of a sweep a test of its own."""
        if num_steps is not None:
            self.notes.append(f"one test for all points; each gets its own with at={sweep['at']!r}, steps={num_steps}")

    def _refuse_steps(self, expected: int | None, num_steps: int | None) -> None:
        """Points that are counted from a wrong number of steps leave out a part of training, or lie behind its end."""
        if expected is not None and num_steps is not None and num_steps != expected:
            raise UsageError(f"steps={expected}: the job makes {num_steps} optimizer steps; write steps={num_steps}")

    def _kept(self, verdict: Verdict) -> Verdict:
        self.verdicts.append(verdict)
        return verdict


def _first_reference(verdict: Verdict) -> RunProgress:
    run_dir = RunDir(root=verdict.run_dir)
    progress = RunProgress(run_dir.scenario(run_dir.read_plan().references[0].name))
    progress.update()
    return progress
