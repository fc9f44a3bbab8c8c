"""The checks: pure functions from evidence to a result, in the order in which they are shown."""

from __future__ import annotations

from collections.abc import Callable

from launch.checks.content import content
from launch.checks.evidence_whole import evidence_whole
from launch.checks.exactly_once import exactly_once
from launch.checks.fault_fired import fault_fired
from launch.checks.global_batches import global_batches
from launch.checks.hygiene import hygiene
from launch.checks.progress import progress
from launch.checks.rank_sequence import rank_sequence
from launch.checks.ranks_agree import ranks_agree
from launch.checks.reference import reference
from launch.checks.replay_identical import replay_identical
from launch.checks.result import CheckResult
from launch.checks.resume_point import resume_point
from launch.checks.saved_state import saved_state
from launch.checks.state import state
from launch.evidence import Evidence

Check = Callable[[Evidence], CheckResult]
"""A check; its docstring says what holds if it is valid, and its `__name__` is its name in reports."""

CHECKS: tuple[Check, ...] = (
    reference,
    evidence_whole,
    fault_fired,
    progress,
    rank_sequence,
    global_batches,
    exactly_once,
    replay_identical,
    ranks_agree,
    resume_point,
    content,
    state,
    saved_state,
    hygiene,
)
