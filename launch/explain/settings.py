"""With which settings of their optimizers, and with which parameters frozen, processes went on."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from resumable.launch.evidence.rank_records import Figure
from resumable.launch.explain.check_result import Violation, violation_of
from resumable.launch.explain.codes.optimizer_reasons import MayFollowFromLosses, SettingNotRestored
from resumable.launch.explain.codes.state_problems import SettingDiffers
from resumable.launch.explain.codes.statement import Reason
from resumable.launch.explain.learning_rates import may_follow_from_losses, num_right_steps
from resumable.launch.explain.witnesses import FROZEN, are_same, had_left, witnesses_of
from resumable.launch.reading.evidence import Evidence
from resumable.launch.reading.lives import Life


def setting_violation(evidence: Evidence, life: Life, *, has_scheduler: bool) -> Violation | None:
    """The first step that was made with a setting that it has in no other run.

    A setting accuses nobody where the run had left the others before the save (it may follow from losses, which are never
    the same), where the others do not agree, or where the step left what it should have left all the same.

    Args:
        evidence: All that is known.
        life: The process.
        has_scheduler: Its scheduler was restored: what that makes of later losses is its own.
    """
    num_steps = num_right_steps(evidence, life, has_scheduler=has_scheduler)
    witnesses = [
        steps[life.first_step - first :][:num_steps]
        for first, steps in witnesses_of(evidence, life)
        if first <= life.first_step
    ]
    own = life.steps[:num_steps]
    differences = [
        (difference, setting)
        for optimizer, setting in sorted(own.settings)
        if not had_left(evidence, life, setting, optimizer)
        for difference in _first_difference(
            setting, *(_Curve(one.curve_of((optimizer, setting)), len(one)) for one in (own, *witnesses))
        )
        if not _makes_no_difference(evidence, life, difference.number)
    ]
    if not differences:
        return None
    first, setting = min(differences, key=lambda pair: pair[0].number)
    step = life.first_step + first.number
    problem = SettingDiffers(
        rank=life.rank,
        incarnation=life.incarnation,
        step=step,
        setting=setting,
        found=tuple(first.found),
        expected=tuple(first.expected),
    )
    why: Reason = SettingNotRestored(is_frozen=setting == FROZEN)
    if may_follow_from_losses(evidence, life, first.undisturbed):
        why = MayFollowFromLosses()
    return violation_of(life, problem, why, step=step, line=life.steps[first.number].line)


class _Curve(NamedTuple):
    values: Mapping[int, Sequence[Figure]]
    """By the step from which on they hold, in order."""
    num_steps: int

    def at(self, number: int) -> Sequence[Figure] | None:
        """None where it is not known, or there is no such step."""
        place = bisect_right(list(self.values), number)
        return self.values[list(self.values)[place - 1]] if place and number < self.num_steps else None

    def goes_with(self, found: _Curve) -> bool:
        """Whether nothing is different in any step."""
        return self.values == found.values and self.num_steps >= found.num_steps


class _Difference(NamedTuple):
    number: int
    """Of the step."""
    found: Sequence[Figure]
    expected: Sequence[Figure]
    undisturbed: Sequence[object]
    """What another run had, from the first step of the process on."""


def _first_difference(setting: str, found: _Curve, *others: _Curve) -> Iterator[_Difference]:
    """The first step whose value is different from all others, if those are the same."""
    if any(other.goes_with(found) for other in others):
        return
    for number in sorted({number for curve in (found, *others) for number in curve.values}):
        own, *expected = (curve.at(number) for curve in (found, *others))
        known = [value for value in expected if value is not None]
        are_agreed = all(are_same(setting, value, known[0]) for value in known)
        if own is not None and known and are_agreed and not are_same(setting, own, known[0]):
            undisturbed = [others[-1].at(earlier) for earlier in range(number + 1)]
            yield _Difference(number, own, known[0], undisturbed)
            return


def _makes_no_difference(evidence: Evidence, life: Life, number: int) -> bool:
    """Whether the step left the parameters that it should have left, to the last bit."""
    wanted = evidence.wanted(life)[number:][:1]
    after = life.steps[number].after
    return after is not None and any(one.after == after for one in wanted)
