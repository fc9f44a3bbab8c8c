"""Sets what a run saved beside what the uninterrupted runs save: pairs, what is missing, what came out of turn.

Time: linear in the lines of the run, and in the number of files that ranks save under names of their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property

import msgspec

from resumable.launch.reading.arbiter import first_left_out
from resumable.launch.reading.evidence import Evidence, expected_steps
from resumable.launch.reading.expected_artefacts import ExpectedArtefacts, expected_artefacts
from resumable.launch.reading.lives import Life, Run
from resumable.launch.reading.saves import Saved, series_of, within
from resumable.launch.reading.step_table import StepColumn
from resumable.launch.reading.steps import NOTHING

_KEYS: tuple[StepColumn, ...] = ("keys",)
_KEYS_AND_NUMBERS: tuple[StepColumn, ...] = ("keys", "afters", "losses")


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """A save and its counterpart."""

    life: Life
    wanted: Saved
    found: Saved


class Missing(msgspec.Struct, frozen=True, kw_only=True):
    """A save that the uninterrupted runs make, and nobody made in the run."""

    life: Life
    """The process that did its step last."""
    path: str
    step: int
    begun: Saved | None
    """What was begun of it."""
    was_ended_there: bool
    """The process ended right after the step."""


class ArtefactComparison:
    """Compares where training is right: what follows from wrong batches or wrong numbers is another check's matter.

    Args:
        evidence: With at least one reference.
    """

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        run, folder = evidence.faulted, evidence.faulted.history.folder
        self.expected: ExpectedArtefacts = expected_artefacts(
            evidence.references, run, is_noisy=not evidence.numbers_repeat
        )
        self._loaded = {series_of(within(path, folder)) for life in run.lives for path in life.trajectory.loaded}
        self._saves: dict[tuple[int, int], list[Saved]] = {}
        self._by_step: dict[tuple[int, int, int], list[Saved]] = {}
        for one in run.artefacts:
            self._saves.setdefault((one.incarnation, one.rank), []).append(one)
            self._by_step.setdefault((one.incarnation, one.rank, one.own_step), []).append(one)
        self._left_out = first_left_out(evidence)
        self._right = {(life.incarnation, life.rank): self._num_right(life) for life in evidence.faulted.lives}

    def pairs(self) -> Iterator[Pair]:
        """What restarted processes have finished to save, each with what is saved there without a stop."""
        for life in self._restarted:
            for found, number in self._numbered(life):
                wanted = self._counterpart(life, found, number=number)
                if wanted is not None and self._is_right(life, wanted.own_step):
                    yield Pair(life=life, wanted=wanted, found=found)

    def out_of_turn(self) -> Iterator[tuple[Life, Saved]]:
        """Files that a restarted process overwrote where the uninterrupted runs leave them alone, the first time of each.

        What a process goes on from may be saved at any time, in an emergency or so many steps after a restart; and what is
        saved along with it then, with it.
        """
        told = set[tuple[int, str]]()
        for life in self._restarted:
            free = {
                step
                for one in self._of(life)
                if self._is_unforeseen(life, one)
                for step in range(one.own_step if one.is_step_sure else life.first_step, one.own_step + 1)
            }
            for one in self._of(life):
                is_early = not (one.file.is_saved and one.is_of_course) or one.own_step in free or not one.is_step_sure
                is_wrong = self.expected.leaves_alone(life.rank, one.name, one.own_step) and not is_early
                if is_wrong and self._is_right(life, one.own_step) and (life.rank, one.name) not in told:
                    told.add((life.rank, one.name))
                    yield life, one

    def missing(self) -> Iterator[Missing]:
        """What nobody saved, the first of each file; for a run that came to its end."""
        told = set[tuple[int, str]]()
        for rank, path, step in self.expected.scheduled:
            doer = self._evidence.faulted.doer(rank, step - 1)
            if doer is None or (rank, path) in told or not self._is_right(doer, step):
                continue
            missing = self._missing(doer, path, step)
            if missing is not None and not self._is_excused(missing):
                told.add((rank, path))
                yield missing

    def kept_otherwise(self) -> tuple[list[str], list[str]]:
        """Files that are there in the end though all uninterrupted runs had removed them, and the reverse."""
        if not self._evidence.numbers_repeat:
            return [], []
        own, *others = (_kept(run) for run in (self._evidence.faulted, *self._evidence.references))
        differing = [name for name in own if all(other.get(name) is (not own[name]) for other in others)]
        return [name for name in differing if own[name]], [name for name in differing if not own[name]]

    def _numbered(self, life: Life) -> Iterator[tuple[Saved, int]]:
        """What a process finished to save, with its number among those that are saved at its step without a stop.

        At the step that it goes on from, the first ones may be the work of the process before: those up to its own first
        step are the last ones. Of a process that was ended before that, nobody knows where it stood.
        """
        if not life.steps and not life.process.has_ended_well:
            return
        finished = [one for one in self._of(life) if one.is_finished]
        num_own = Counter((one.name, one.own_step) for one in finished)
        numbers = Counter[tuple[str, int]]()
        for path, step in num_own:
            if step == life.first_step:
                numbers[path, step] = len(self.expected.saves.get((life.rank, path, step), ())) - num_own[path, step]
        for one in finished:
            yield one, numbers[one.name, one.own_step]
            numbers[one.name, one.own_step] += 1

    def _missing(self, doer: Life, path: str, step: int) -> Missing | None:
        lives = self._lives_of(doer.rank)
        whole = [one for life in lives for one in self._at(life, step) if one.is_finished]
        wanted = self.expected.saves[doer.rank, path, step][0]
        was_ended_there = doer is not lives[-1] and doer.end_step == step
        if any(one.name == path or self._is_in_place_of(doer.rank, one, wanted) for one in whole):
            return None
        begun = [one for one in self._at(doer, step) if self._would_have_been(one, path)]
        if not (begun or doer.incarnation or was_ended_there):  # nothing had disturbed it
            return None
        return Missing(
            life=doer, path=path, step=step, begun=begun[-1] if begun else None, was_ended_there=was_ended_there
        )

    def _counterpart(self, life: Life, found: Saved, *, number: int = 0) -> Saved | None:
        return self.expected.counterpart(life.rank, found, number=number) or self._under_another_name(life, found)

    def _under_another_name(self, life: Life, found: Saved) -> Saved | None:
        """What is saved at this step with the same keys, under a name that this process did not use."""
        used = {one.name for one in self._at(life, found.own_step)}
        return next(
            (
                saves[0]
                for (rank, path, step), saves in self.expected.saves.items()
                if (rank, step) == (life.rank, found.own_step)
                and path not in used
                and self._is_in_place_of(rank, found, saves[0])
            ),
            None,
        )

    def _is_in_place_of(self, rank: int, found: Saved, wanted: Saved) -> bool:
        is_new_name = (rank, found.name) not in self.expected.known
        return is_new_name and found.digests.keys() == wanted.digests.keys()

    def _is_excused(self, missing: Missing) -> bool:
        """Whether it was saved at a later step, or the job saves so many steps after each restart."""
        rank, path = missing.life.rank, missing.path
        saves = [one for life in self._lives_of(rank) for one in self._of(life) if one.name == path and one.is_finished]
        is_made_good = any(one.own_step > missing.step for one in saves)
        if missing.begun is not None or missing.was_ended_there:
            return is_made_good
        return rank in self._ranks_with_schedule and not self._is_export(missing)

    @cached_property
    def _ranks_with_schedule(self) -> frozenset[int]:
        """Ranks whose restarted processes save their checkpoints at different steps than the uninterrupted runs."""
        return frozenset(
            life.rank
            for life in self._restarted
            for one in self._of(life)
            if one.is_of_course and self._is_unforeseen(life, one)
        )

    def _is_export(self, missing: Missing) -> bool:
        """Whether it is saved when training is over, and nothing like it before: it is no checkpoint."""
        saves, rank, step = self.expected.saves, missing.life.rank, missing.step
        keys = saves[rank, missing.path, step][0].digests.keys()
        like_it = [at for (_, _, at), own in saves.items() if own[0].digests.keys() == keys]
        return min(like_it) == len(self._evidence.expected[rank])

    @cached_property
    def _restarted(self) -> Sequence[Life]:
        return [life for life in self._evidence.faulted.lives if life.incarnation > 0]

    def _is_unforeseen(self, life: Life, one: Saved) -> bool:
        """Whether it is a checkpoint that the uninterrupted runs do not make.

        That is what a process may go on from: one did from its series, or these runs have no such series.
        """
        is_checkpoint = series_of(one.name) in self._loaded or not self.expected.knows(life.rank, one.name)
        return is_checkpoint and self._counterpart(life, one) is None

    def _would_have_been(self, one: Saved, path: str) -> bool:
        """Whether a save that was begun and never finished would have got this name."""
        return not one.is_finished and path in {one.name, *self.expected.names.get(one.first_name, ())}

    def _lives_of(self, rank: int) -> Sequence[Life]:
        return [life for life in self._evidence.faulted.lives if life.rank == rank]

    def _of(self, life: Life) -> Sequence[Saved]:
        return self._saves.get((life.incarnation, life.rank), ())

    def _at(self, life: Life, step: int) -> Sequence[Saved]:
        return self._by_step.get((life.incarnation, life.rank, step), ())

    def _is_right(self, life: Life, step: int) -> bool:
        return step <= self._right[life.incarnation, life.rank]

    def _num_right(self, life: Life) -> int:
        """Up to which step batches and numbers are right; batches alone, where the numbers do not repeat.

        Behind a step that a gradient scaler left out by chance, each save is that of another step.
        """
        wanted = self._evidence.wanted(life)[: len(life.steps)]
        number = life.steps.first_difference(wanted, *(_KEYS_AND_NUMBERS if self._repeats(life.rank) else _KEYS))
        right = life.first_step + (len(life.steps) if number is None else number)
        return right if self._left_out is None else min(right, self._left_out - 1)

    def _repeats(self, rank: int) -> bool:
        first, *others = (expected_steps(run).get(rank, NOTHING) for run in self._evidence.references)
        return all(other.first_difference(first, *_KEYS_AND_NUMBERS) is None for other in others)


def _kept(run: Run) -> dict[str, bool]:
    """By name of what was saved: whether it is there in the end."""
    in_order = sorted(run.artefacts, key=lambda one: one.end_ns)
    return {one.name: one.removed_before is None for one in in_order if one.is_finished}
