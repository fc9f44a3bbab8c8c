"""What can be said of a run: each class is a code of `results.json`, with its parameters and its sentence.

Problems say what is wrong, reasons why. A module that is not imported here would be unknown to who reads results.
"""

from resumable.launch.explain.codes import (
    artefacts,
    batch_problems,
    ends,
    epoch_reasons,
    faults,
    optimizer_reasons,
    order_reasons,
    place_reasons,
    references,
    resume,
    share_reasons,
    state_problems,
    state_reasons,
    verdicts,
)

__all__ = [
    "artefacts",
    "batch_problems",
    "ends",
    "epoch_reasons",
    "faults",
    "optimizer_reasons",
    "order_reasons",
    "place_reasons",
    "references",
    "resume",
    "share_reasons",
    "state_problems",
    "state_reasons",
    "verdicts",
]
