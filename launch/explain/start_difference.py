"""Why what a process started from is not what there was at the save."""

from __future__ import annotations

from resumable.launch.explain.codes.optimizer_reasons import (
    OptimizerHoldsOthers,
    OptionsDiffer,
    ParametersAdded,
)
from resumable.launch.explain.codes.state_problems import MAX_NAMES
from resumable.launch.explain.codes.state_reasons import (
    ComponentNotRestored,
    SavedInPassing,
    UnsavedBuffersDiffer,
    UntrainedWeightsDiffer,
)
from resumable.launch.explain.codes.statement import Reason
from resumable.launch.explain.witnesses import was_meant
from resumable.launch.reading.evidence import Evidence
from resumable.launch.reading.start_states import MUST_BE_RESTORED, Component, Start, start_state


def why_not_restored(start: Start, component: Component) -> Reason:
    """Of a component that is not what it was at the save."""
    if component != "parameters" or component in start.lost:
        return ComponentNotRestored(component=component, is_lost=component in start.lost)
    match start.way:
        case "replaced":
            return OptimizerHoldsOthers()
        case "added":
            return ParametersAdded()
        case "fresh" | "changed":
            return ComponentNotRestored(component=component, is_fresh=start.way == "fresh")


def why_doubtful(start: Start) -> Reason | None:
    """Of what accuses nobody, where nothing else shows whether it matters: None if there is no such thing.

    A model that is made for a validation, or a cache, may be there at the save alone or at the start alone.
    """
    if "parameters" in start.passing:
        return SavedInPassing()
    state = start_state(start.life)
    there = () if state is None else state.components.get("untrained", {})
    names = tuple(name for name in start.differing.get("untrained", ()) if name in there and name not in start.new)
    return UntrainedWeightsDiffer(names=names[:MAX_NAMES], num_names=len(names)) if names else None


def first_not_restored(evidence: Evidence, start: Start) -> Reason | None:
    """Of the first component that must be restored and was not, or else of what it may go by; None if all is as it was."""
    for component in MUST_BE_RESTORED:
        if component in start.differing and not was_meant(evidence, start, component):
            return why_not_restored(start, component)
    for told, reason in _TOLD.items():
        names = start.differing.get(told, ())
        if names:
            return reason(names=names[:MAX_NAMES], num_names=len(names))
    return None


_TOLD = {"untrained": UntrainedWeightsDiffer, "options": OptionsDiffer, "unsaved": UnsavedBuffersDiffer}
