"""The checks, in the order in which they are shown: one file, one check."""

from __future__ import annotations

from resumable.launch.checks.artefacts import artefacts
from resumable.launch.checks.check import Check
from resumable.launch.checks.content import content
from resumable.launch.checks.described_order import described_order
from resumable.launch.checks.evidence_whole import evidence_whole
from resumable.launch.checks.exactly_once import exactly_once
from resumable.launch.checks.fault_fired import fault_fired
from resumable.launch.checks.global_batches import global_batches
from resumable.launch.checks.hygiene import hygiene
from resumable.launch.checks.progress import progress
from resumable.launch.checks.rank_sequence import rank_sequence
from resumable.launch.checks.ranks_agree import ranks_agree
from resumable.launch.checks.reference import reference
from resumable.launch.checks.replay_identical import replay_identical
from resumable.launch.checks.restored import restored
from resumable.launch.checks.resume_point import resume_point
from resumable.launch.checks.state import state

CHECKS: tuple[Check, ...] = (
    reference,
    evidence_whole,
    fault_fired,
    progress,
    restored,
    rank_sequence,
    global_batches,
    exactly_once,
    described_order,
    replay_identical,
    ranks_agree,
    resume_point,
    content,
    state,
    artefacts,
    hygiene,
)
