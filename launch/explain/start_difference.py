"""Why what a process started from is not what there was at the save."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from resumable.launch.explain.codes.optimizer_reasons import (
    OptimizerHoldsOthers,
    ParametersAdded,
)
from resumable.launch.explain.codes.state_problems import MAX_NAMES
from resumable.launch.explain.codes.state_reasons import (
    ComponentNotRestored,
    GeneratorsElsewhere,
    SavedInPassing,
    UnsavedBuffersDiffer,
    UntrainedWeightsDiffer,
)
from resumable.launch.explain.codes.statement import Reason
from resumable.launch.explain.witnesses import Fate, fate_of, strayed_generators, was_meant
from resumable.launch.reading.evidence import Evidence
from resumable.launch.reading.start_states import MUST_BE_RESTORED, Beside, Component, Start


def why_not_restored(start: Start, component: Component) -> Reason:
    """Of a component that is not what it was at the save."""
    difference = start.differing[component]
    if component != "parameters" or difference.is_lost:
        return ComponentNotRestored(component=component, is_lost=difference.is_lost)
    match difference.way:
        case "replaced":
            return OptimizerHoldsOthers()
        case "added":
            return ParametersAdded()
        case "fresh" | "changed":
            return ComponentNotRestored(component=component, is_fresh=difference.way == "fresh")


def why_doubtful(evidence: Evidence, start: Start) -> Reason | None:
    """Of what accuses nobody, where nothing else shows whether it matters: None if there is no such thing."""
    if start.is_passing:
        return SavedInPassing()
    for component, names in altered(evidence, start, "unknown"):
        return why_altered(component, names)
    generators = strayed_generators(evidence, start)
    return GeneratorsElsewhere(names=generators) if generators else None


def altered(evidence: Evidence, start: Start, fate: Fate) -> Iterator[tuple[Beside, tuple[str, ...]]]:
    """Names in what is untrained or unsaved that differ from the save, and of which this became."""
    for component in _TOLD:
        names = start.differing[component].altered if component in start.differing else ()
        found = tuple(name for name in names if fate_of(evidence, start, component, name) == fate)
        if found:
            yield component, found


def why_altered(component: Beside, names: Sequence[str]) -> Reason:
    """Of what is untrained or unsaved."""
    return _TOLD[component](names=tuple(names[:MAX_NAMES]), num_names=len(names))


def first_not_restored(evidence: Evidence, start: Start) -> Reason | None:
    """Of the first component that must be restored and was not, or else of what it may go by; None if all is as it was."""
    for component in MUST_BE_RESTORED:
        if component in start.differing and not was_meant(evidence, start, component):
            return why_not_restored(start, component)
    told = ((component, start.differing[component].names) for component in _TOLD if component in start.differing)
    return next((why_altered(component, names) for component, names in told if names), None)


_TOLD: Mapping[Beside, type[UntrainedWeightsDiffer | UnsavedBuffersDiffer]] = {
    "untrained": UntrainedWeightsDiffer,
    "unsaved": UnsavedBuffersDiffer,
}
