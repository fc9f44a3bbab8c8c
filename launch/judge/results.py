"""The results of one command, as other programs read them: `results.json`, and the source of every other rendering.

`launch/report/README.md` documents each field. Within a version a field may be added, none is taken away; older versions
stay readable.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

from resumable.launch.errors import EvidenceError
from resumable.launch.evidence.rank_records import FaultFired
from resumable.launch.explain.outcome import Outcome, worst
from resumable.launch.judge.verdict import Verdict
from resumable.launch.plan.fault_model import PlannedFault
from resumable.launch.plan.plan import Command, Plan, Scenario
from resumable.launch.plan.repeat_command import repeat_command
from resumable.launch.reading.lives import Life, Run
from resumable.launch.system.safe_io import decoded
from resumable.launch.system.text_safety import json_document
from resumable.launch.system.wording import counted

RESULTS_VERSION = 2

SpanEnd = Literal["fault", "finished", "ended"]


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """The steps of one process, placed in the whole training."""

    rank: int
    incarnation: int
    first_step: int
    num_steps: int
    num_kept: int
    """How many of them no later restart threw away."""
    num_replayed: int
    """How many of them, from the first on, had been done before."""
    end: SpanEnd
    """fault: a fault of the plan ended it. finished: its script ended by itself. ended: something else did."""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One scenario with its verdict."""

    name: str
    """Its faults, or the scenario's name if it has none."""
    scenario: str
    """Its folder in the run directory."""
    faults: tuple[str, ...]
    """As the command line takes them."""
    planned_faults: tuple[PlannedFault, ...] = ()
    """The same as data; version 1 had none."""
    verdict: Verdict
    time_s: float | None = None
    """From the first rank's start to the last node's end."""
    repeat: str
    """One shell command that does it again."""
    spans: tuple[Span, ...] = ()
    """What each process trained on; left out for a sweep."""


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """A point of a sweep that was planned and not run: the sweep came to its end before, as by its budget."""

    name: str
    """Its faults."""
    scenario: str
    """The folder that it would have had."""
    planned_faults: tuple[PlannedFault, ...]
    repeat: str
    """One shell command that does it."""


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """Cases by outcome."""

    valid: int
    invalid: int
    unknown: int


class Tools(msgspec.Struct, frozen=True, kw_only=True):
    """Versions of what took part."""

    resumable: str
    """Of the program that wrote these results."""
    python: str | None = None
    """Of the ranks; None if none started."""
    torch: str | None = None


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that came of one command."""

    version: int = RESULTS_VERSION
    kind: Command
    outcome: Outcome
    """INVALID beats UNKNOWN beats VALID over all cases; UNKNOWN if there is no case."""
    script: str
    """What every rank ran: a path, a module or a program."""
    arguments: tuple[str, ...]
    """What it was given."""
    run_dir: str
    """Where the evidence lies."""
    counts: Counts
    cases: tuple[Case, ...]
    left_out: tuple[LeftOut, ...] = ()
    num_points: int | None = None
    """Of a sweep: points of which its sample was drawn, or all; None where nobody counted them."""
    tools: Tools
    started: str | None = None
    """ISO 8601 with the offset from UTC; None where nobody wrote it down."""
    finished: str | None = None

    @property
    def drawn(self) -> str:
        """How many points were drawn of how many; "" where it was all of them."""
        num_drawn = len(self.cases) + len(self.left_out)
        if self.num_points is None or self.num_points <= num_drawn:
            return ""
        return f"{num_drawn} of {counted(self.num_points, 'point')}"


def results_of(
    plan: Plan,
    judged: Iterable[tuple[Scenario, Verdict]],
    *,
    run_dir: str,
    tools: Tools | None = None,
    times_s: Mapping[str, float] | None = None,
    spans: Mapping[str, tuple[Span, ...]] | None = None,
    started: str | None = None,
    finished: str | None = None,
) -> Results:
    """Put verdicts together.

    Args:
        plan: Of the command.
        judged: Each scenario that was judged, in the order in which cases are shown.
        run_dir: The run directory, as the user would write it.
        tools: Versions; None: of this program alone.
        times_s: Seconds that scenarios took, by name, where known.
        spans: What their processes trained on, by name, where wanted.
        started: Wall-clock time, ISO 8601.
        finished: Likewise.
    """
    times, lives = times_s or {}, spans or {}
    cases = tuple(
        Case(
            name=" ".join(map(str, scenario.faults)) or scenario.name,
            scenario=scenario.name,
            faults=tuple(map(str, scenario.faults)),
            planned_faults=scenario.faults,
            verdict=verdict,
            time_s=times.get(scenario.name),
            repeat=repeat_command(plan, _as_it_failed(plan, scenario, verdict)),
            spans=lives.get(scenario.name, ()),
        )
        for scenario, verdict in judged
    )
    outcomes = [case.verdict.outcome for case in cases]
    names = {case.scenario for case in cases}
    left_out = tuple(
        LeftOut(
            name=" ".join(map(str, point.faults)),
            scenario=point.name,
            planned_faults=point.faults,
            repeat=repeat_command(plan, point),
        )
        for point in (plan.points if plan.sweep is not None else ())
        if point.name not in names
    )
    return Results(
        kind=plan.command,
        outcome=worst(outcomes),
        script=plan.script.path,
        arguments=plan.script.arguments,
        run_dir=run_dir,
        counts=Counts(
            valid=outcomes.count(Outcome.VALID),
            invalid=outcomes.count(Outcome.INVALID),
            unknown=len(outcomes) - outcomes.count(Outcome.VALID) - outcomes.count(Outcome.INVALID),
        ),
        cases=cases,
        left_out=left_out,
        num_points=None if plan.sweep is None else plan.sweep.num_points,
        tools=tools or own_tools(),
        started=started,
        finished=finished,
    )


def _as_it_failed(plan: Plan, scenario: Scenario, verdict: Verdict) -> Scenario:
    """The scenario; of a point that failed in a chain, the faults that came before it there too."""
    chain = plan.chain_of(scenario.name, verdict.chain)
    if chain is None or verdict.outcome is Outcome.VALID:
        return scenario
    return chain.until_link([link.point for link in chain.links].index(scenario.name))


def own_tools(*, python: str | None = None, torch: str | None = None) -> Tools:
    """The versions, of this program and of what its ranks said."""
    from importlib.metadata import version  # noqa: PLC0415 - it reads mail headers, and most commands write no file

    return Tools(resumable=version("resumable"), python=python, torch=torch)


def spans_of(run: Run) -> tuple[Span, ...]:
    """What each process of a run trained on, by incarnation and rank."""
    return tuple(_span(life) for life in run.lives)


def encode_results(results: Results) -> bytes:
    """The file `results.json`, readable by a person."""
    return json_document(results)


def decode_results(data: bytes) -> Results:
    """The content of a `results.json` of this version or an older one; its `version` stays what it was.

    Raises:
        EvidenceError: it is no such file, or one of a newer version.
    """
    try:
        version_ = msgspec.json.decode(data, type=_Versioned).version
        if version_ > RESULTS_VERSION:
            raise EvidenceError(f"results.json: version={version_}, this release reads up to {RESULTS_VERSION}")
        if version_ == 1:
            return _of_version_1(msgspec.json.decode(data))
        return decoded(msgspec.json.Decoder(Results).decode, data)
    except msgspec.DecodeError as error:
        raise EvidenceError(f"results.json: {error}") from error


def results_schema() -> bytes:
    """The JSON schema (2020-12) of `results.json`."""
    return json_document(msgspec.json.schema(Results))


class _Versioned(msgspec.Struct):
    version: int


def _of_version_1(content: dict[str, Any]) -> Results:
    """Version 1 called the faults that came "deaths", and had sentences where there are codes now."""
    try:
        for case in content["cases"]:
            case["verdict"]["fired_faults"] = case["verdict"].pop("deaths")
    except (KeyError, TypeError, AttributeError) as error:
        raise msgspec.ValidationError("version 1 has cases, each with a verdict and its deaths") from error
    return msgspec.convert(content, Results)


def _span(life: Life) -> Span:
    return Span(
        rank=life.rank,
        incarnation=life.incarnation,
        first_step=life.first_step,
        num_steps=len(life.steps),
        num_kept=life.num_kept,
        num_replayed=min(len(life.steps), max(0, len(life.before) - life.first_step)),
        end=_end(life),
    )


def _end(life: Life) -> SpanEnd:
    process = life.process
    if any(isinstance(record, FaultFired) for record in process.events):
        return "fault"
    return "finished" if process.exit is not None and process.exit.code == 0 else "ended"
