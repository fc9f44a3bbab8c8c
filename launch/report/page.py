"""The data of the HTML page's timelines: the lanes of each case and of its reference, and what their batches hold."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from resumable.launch.explain.outcome import BY_SEVERITY, Outcome
from resumable.launch.judge.results import Case, Results
from resumable.launch.reading.lives import Run
from resumable.launch.report.lanes import Track, states_of, track_of
from resumable.launch.report.reading import CaseEvidence
from resumable.launch.report.samples import MAX_INDICES, BatchNumbers, Samples

MAX_BATCHES = 1_000_000
"""That one page draws; beyond them cases have no timeline, those that are VALID first."""


class PageCase(msgspec.Struct, frozen=True, kw_only=True):
    """Which tracks show a case, by their number; None where there is nothing to show."""

    outcome: Outcome
    track: int | None = None
    reference: int | None = None


class PageData(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the page's script reads."""

    cases: dict[str, PageCase]
    """By anchor."""
    tracks: tuple[Track, ...]
    samples: Samples

    @property
    def num_left_out(self) -> int:
        """Cases without a timeline."""
        return sum(case.track is None for case in self.cases.values())


def page_data(
    results: Results,
    anchors: dict[str, str],
    cases: CaseEvidence,
    *,
    max_batches: int = MAX_BATCHES,
    max_indices: int = MAX_INDICES,
) -> PageData:
    """The timelines of all cases, as many as a page can hold.

    Args:
        results: What came of the command.
        anchors: Of each case in the page, by the name of its scenario.
        cases: What there is on a case; asked for one at a time, so that one run lies in memory beside the references.
        max_batches: Batches of all tracks together.
        max_indices: Samples of all distinct batches together.
    """
    builder = _Builder(BatchNumbers(max_indices), max_batches)
    shown = {case.scenario: builder.add(case, cases) for case in _worst_first(results.cases)}
    return PageData(
        cases={anchors[case.scenario]: shown[case.scenario] for case in results.cases},
        tracks=tuple(builder.tracks),
        samples=builder.numbers.samples,
    )


def _worst_first(cases: Iterable[Case]) -> list[Case]:
    return sorted(cases, key=lambda case: BY_SEVERITY.index(case.verdict.outcome))


class _Builder:
    """Collects tracks until there is no room."""

    def __init__(self, numbers: BatchNumbers, room: int) -> None:
        self.numbers = numbers
        self.tracks: list[Track] = []
        self._room = room
        self._references: dict[str, int] = {}

    def add(self, case: Case, cases: CaseEvidence) -> PageCase:
        nothing = PageCase(outcome=case.verdict.outcome)
        evidence = cases.find(case.scenario) if self._room > 0 else None
        if evidence is None or not evidence.faulted.lives:
            return nothing
        new = [run for run in evidence.references[:1] if run.lives and run.history.name not in self._references]
        num_batches = sum(map(_num_batches, (*new, evidence.faulted)))
        if num_batches > self._room:
            return nothing
        self._room -= num_batches
        for run in new:
            self._references[run.history.name] = self._entered(track_of(run, self.numbers.number_of))
        names = {fault.number: str(fault) for fault in evidence.scenario.faults}
        track = track_of(evidence.faulted, self.numbers.number_of, names, states_of(evidence.references))
        reference = next((self._references.get(run.history.name) for run in evidence.references), None)
        return PageCase(outcome=case.verdict.outcome, track=self._entered(track), reference=reference)

    def _entered(self, track: Track) -> int:
        self.tracks.append(track)
        return len(self.tracks) - 1


def _num_batches(run: Run) -> int:
    return sum(len(step.batches) for life in run.lives for step in life.steps)
