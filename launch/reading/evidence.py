"""Everything that a check may look at, as one value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

import msgspec

from resumable.launch.evidence.history import Damage, History
from resumable.launch.evidence.loop_profile import LoopProfile, profile_of
from resumable.launch.plan.plan import Plan, Scenario
from resumable.launch.reading.dismissal import with_dismissals
from resumable.launch.reading.gaps import gaps
from resumable.launch.reading.lives import Life, Run
from resumable.launch.reading.repeatability import repeats
from resumable.launch.reading.start_states import Start, starts_of
from resumable.launch.reading.steps import NOTHING, Steps
from resumable.launch.reading.timeline import assemble


class Evidence(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """What was planned and what came of it."""

    plan: Plan
    scenario: Scenario
    """The scenario that is judged."""
    references: tuple[Run, ...]
    """The uninterrupted runs; none for `resumable run`."""
    faulted: Run
    """The run that is judged."""
    profile: LoopProfile
    """Properties of the job."""
    is_cut: bool = False
    """It is the beginning of a longer run: the next fault has ended it, and what it had not done by then is not missing."""

    @property
    def runs(self) -> tuple[Run, ...]:
        """All of them, the uninterrupted ones first."""
        return (*self.references, self.faulted)

    @cached_property
    def expected(self) -> dict[int, Steps]:
        """What each rank should train on, from the first reference; empty without one."""
        return expected_steps(self.references[0]) if self.references else {}

    def wanted(self, life: Life) -> Steps:
        """What a process should have trained on, from its first step on; nothing where nobody knows."""
        return self.expected.get(life.rank, NOTHING)[life.first_step :]

    @cached_property
    def starts(self) -> tuple[Start, ...]:
        """What the resumed processes started from, beside the saves that they loaded, as far as that is known."""
        return starts_of(self.faulted)

    @cached_property
    def numbers_repeat(self) -> bool:
        """The references have the same losses, parameters and buffers after each step."""
        return repeats(self.references)

    @cached_property
    def damage(self) -> tuple[Damage, ...]:
        """All damage in all histories, what was not kept alike, and what is missing between folders that somebody named."""
        read = [*(damage for run in self.runs for damage in run.history.damage), *_kept_differently(self.runs)]
        return tuple(read or (gaps(self.faulted, self.expected) if self.plan.command == "record" else ()))

    @property
    def is_foreign(self) -> bool:
        """Somebody else has started the ranks, and restarts them when he likes."""
        return any(round_.group for round_ in self.faulted.history.rounds)

    @property
    def is_resized(self) -> bool:
        """The number of ranks changed between two incarnations."""
        return len(set(self.faulted.world_sizes)) > 1


def _kept_differently(runs: Iterable[Run]) -> Iterator[Damage]:
    """The first process of which something else was kept than of the very first one."""
    processes = [process for run in runs for process in run.history.processes]
    for one in processes:
        kept, first = one.start.keep, processes[0]
        if kept != first.start.keep:
            what = f"recorded with --keep {kept}, and {first.file} with --keep {first.start.keep}: nothing compares the two"
            yield Damage(path=one.file, line=1, what=what)
            return


def expected_steps(reference: Run) -> dict[int, Steps]:
    """The steps of every rank of a reference."""
    return {timeline.rank: timeline.steps for timeline in reference.timelines}


def gather(plan: Plan, scenario: Scenario, references: Sequence[History], faulted: History) -> Evidence:
    """The evidence for one scenario.

    Args:
        plan: the plan of the whole command.
        scenario: the scenario that is judged.
        references: histories of the uninterrupted runs.
        faulted: history of the scenario.
    """
    history = references[0] if references else faulted
    profile = profile_of((process.rank, process.records) for process in history.processes)
    runs = [assemble(reference, profile) for reference in references]
    if len(runs) > 1:  # each is what the other should have done
        first, second = runs[:2]
        runs[:2] = _with_ends(first, second, profile), _with_ends(second, first, profile)
    expected = expected_steps(runs[0]) if runs else None
    run = assemble(faulted, profile, expected)
    if runs:
        run = _with_ends(run, runs[0], profile)
    return Evidence(plan=plan, scenario=scenario, references=tuple(runs), faulted=run, profile=profile)


def _with_ends(run: Run, other: Run, profile: LoopProfile) -> Run:
    """The run, and that its ranks were done when they were ended, as far as an undisturbed one shows it."""
    ended = with_dismissals(run, expected_steps(other))
    return run if ended is None else assemble(ended, profile, expected_steps(other))
