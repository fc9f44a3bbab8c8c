"""How incarnations ended: by a planned fault, or by themselves."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import msgspec

from resumable.launch.evidence.node_records import RankEnded, RankHung
from resumable.launch.evidence.rank_records import Batch, Error
from resumable.launch.evidence.run_dir import ScenarioDir
from resumable.launch.plan.plan import Scenario
from resumable.launch.reading.lives import Firing, Life, Run
from resumable.launch.reading.trained import TrainedBatch

_COMMUNICATION = ("torch.distributed", "torch.autograd", "torch.nn.parallel")
"""Modules in which a rank waits for the others: in a collective of its own, or of DDP's within the backward pass."""
_FROM_OUTSIDE = frozenset({None, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP})
_NOTICE_LAG_NS = 500_000_000
"""Between the death of a process and the moment when its node has seen it; less than the grace before SIGKILL."""


class FaultEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that went against the job: a planned fault, or a process that failed without one."""

    what: str
    """The fault as it was planned, or how the process ended."""
    is_planned: bool
    rank: int
    incarnation: int
    step: int
    """Steps done since training began."""
    epoch: int | None = None
    batch: int | None = None
    """Batch of the epoch that the rank had received last."""
    restart_s: float | None = None
    """Seconds until a rank of the next incarnation received a batch."""
    log: str | None = None
    """The rank's log, relative to the run directory."""
    error: str = ""
    """The exception that ended it, with its module; "" where there was none."""
    exit_code: int | None = None
    """As a shell gives it, 128 + N for signal N; None where it is not known."""
    is_from_outside: bool = False
    """A signal ended it that a process gets from others or from the kernel, or nobody saw what did, or the whole run was
    interrupted; the hang watch's signal is not meant."""


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How a process ended."""

    how: str
    """In words."""
    exit_code: int | None
    """As a shell gives it, 128 + N for signal N; None where it is not known."""
    time_ns: int
    """As it recorded it, else as its node saw it, else when it wrote its last line."""


def ending(life: Life, run: Run) -> Ending:
    """How one process of a run ended, whoever is to blame."""
    process = life.process
    seen = [process.exit.time_ns] if process.exit is not None else [end.time_ns for end in _ends_of(life, run)]
    return Ending(
        how="finished" if process.has_ended_well else _how_it_ended(life, run),
        exit_code=_exit_code(life, run),
        time_ns=max([process.records[-1].time_ns, *seen]),
    )


def planned_ends(run: Run) -> frozenset[int]:
    """Incarnations that a fault ended, or a node that went or came: the others may only end well."""
    begins: dict[int, int] = {}
    num_nodes: dict[int, int] = {}
    for round_ in run.history.rounds:
        begins[round_.incarnation] = min(round_.time_ns, begins.get(round_.incarnation, round_.time_ns))
        num_nodes[round_.incarnation] = round_.num_nodes
    hit = {firing.life.incarnation for firing in run.firings}
    for act in run.history.acts:
        hit |= {max((number for number, begin in begins.items() if begin <= act.time_ns), default=0)}
    grown = {number for number, num in num_nodes.items() if num_nodes.get(number + 1, num) > num}
    return frozenset(hit | grown)


def fired_faults(run: Run, scenario: Scenario) -> tuple[FaultEvent, ...]:
    """The faults that happened, as events of the run."""
    return tuple(_planned(firing, run, scenario) for firing in run.firings)


def unplanned_death(run: Run, incarnation: int) -> FaultEvent | None:
    """The process to blame for the end of an incarnation that no fault ended; None if all ended well.

    When one rank dies the others lose their connection and fail too. The one to blame is the first that failed elsewhere
    than in communication with the others, or that was killed; else the first of all.
    """
    failed = [life for life in run.group(incarnation) if not life.process.has_ended_well]
    if not failed:
        return None
    life = min(failed, key=lambda life: _first_to_fail(life, run))
    exit_ = life.process.exit
    return FaultEvent(
        exit_code=_exit_code(life, run),
        is_from_outside=not _hangs_of(life, run)
        and (_was_interrupted(incarnation, run) or (exit_ is None and _agents_code(life, run) in _FROM_OUTSIDE)),
        what=_how_it_ended(life, run),
        error=exit_.error.type if exit_ is not None and exit_.error is not None else "",
        is_planned=False,
        rank=life.rank,
        incarnation=incarnation,
        step=life.end_step,
        log=_log_of(life, run),
    )


def first_cause(run: Run, scenario: Scenario) -> FaultEvent | None:
    """What ended the last incarnation: a planned fault that its rank did not survive, or else who is to blame."""
    last = max(run.history.incarnations, default=0)
    for firing in run.firings:
        if firing.life.incarnation == last and not firing.was_survived:
            return _planned(firing, run, scenario)
    return unplanned_death(run, last)


def _planned(firing: Firing, run: Run, scenario: Scenario) -> FaultEvent:
    life = firing.life
    names = (str(fault) for fault in scenario.faults if fault.number == firing.fault)
    last = _last_batch(life)
    next_batches = _first_batch_times([other for other in run.lives if other.incarnation > life.incarnation])
    return FaultEvent(
        what=next(names, firing.kind),
        is_planned=True,
        rank=life.rank,
        incarnation=life.incarnation,
        step=firing.num_steps,
        epoch=last.epoch if last else None,
        batch=last.batch if last else None,
        restart_s=(min(next_batches) - firing.time_ns) / 1e9 if next_batches else None,
        log=_log_of(life, run),
        exit_code=_exit_code(life, run),
    )


def _was_interrupted(incarnation: int, run: Run) -> bool:
    """Whether a node was told to stop that no fault was to stop; how its ranks answer to that is theirs."""
    planned = {act.node for act in run.history.acts}
    is_last = incarnation == run.history.incarnations[-1]
    return is_last and any(end.outcome == "interrupted" and end.node not in planned for end in run.history.ends)


def _log_of(life: Life, run: Run) -> str | None:
    """Where what it printed to its standard error lies, relative to the run directory; None where nobody kept that.

    Of a command that is started again behind each end of its ranks, incarnations and starts have the same numbers.
    """
    folder = ScenarioDir(root=Path(run.history.name))
    if not life.process.start.group:
        return str(folder.rank_logs(incarnation=life.incarnation, rank=life.rank)[1])
    logs = (folder.command_log(start) for start in range(life.incarnation, -1, -1))
    return next((str(log) for log in logs if str(log.relative_to(folder.logs)) in run.history.logs), None)


def _last_batch(life: Life) -> TrainedBatch | None:
    batches = [*(batch for step in life.steps[-1:] for batch in step.batches), *life.unfinished, *life.waiting]
    return batches[-1] if batches else None


def _first_batch_times(lives: Sequence[Life]) -> list[int]:
    """When each process of the first of these incarnations that received a batch received its first, in nanoseconds."""
    first: dict[int, list[int]] = {}
    for life in lives:
        times = (record.time_ns for record in life.process.records if isinstance(record, Batch))
        first.setdefault(life.incarnation, []).extend(islice(times, 1))
    return next((times for _, times in sorted(first.items()) if times), [])


def came_to_its_end(run: Run) -> bool:
    """Whether every rank of the last group ended well: only then what is missing is missing."""
    last = max(run.history.incarnations, default=None)
    if last is None:
        return False
    group = run.history.group(last)
    return len(group) >= run.history.world_size(last) and all(process.has_ended_well for process in group)


def unplanned_ends(run: Run) -> tuple[FaultEvent, ...]:
    """Who is to blame for each incarnation that ended without a fault, though not well."""
    planned = planned_ends(run)
    deaths = (unplanned_death(run, number) for number in run.history.incarnations if number not in planned)
    return tuple(death for death in deaths if death is not None)


def _first_to_fail(life: Life, run: Run) -> tuple[bool, int]:
    """Sort key: those who failed in communication come last; among equals the one that ended first.

    A process that was killed left no record. When it was gone its node knows, a moment later on a busy machine; the agent
    ends the others with SIGTERM, so that any other end so soon is no consequence.
    """
    process = life.process
    exit_ = process.exit
    if exit_ is not None:
        return _is_in_communication(exit_.error), exit_.time_ns
    for end in _ends_of(life, run):
        is_own_death = end.exit_code not in (None, -signal.SIGTERM)
        return False, end.time_ns - (_NOTICE_LAG_NS if is_own_death else 0)
    return False, process.records[-1].time_ns


def _is_in_communication(error: Error | None) -> bool:
    """Whether it may be no more than what a rank sees of the end of another one.

    `RuntimeError: Connection closed by peer` is raised by gloo in whichever module waits, a `DistBackendError` wherever
    the script catches and raises it again. A `ValueError` of the script's own backward hook is neither.
    """
    if error is None:
        return False
    is_raised_there = error.type == "builtins.RuntimeError" and error.module.startswith(_COMMUNICATION)
    return is_raised_there or error.type.startswith("torch.distributed.")


def _ends_of(life: Life, run: Run) -> list[RankEnded]:
    """What the node recorded of the end of a process; pids are a container's own, so the rank must fit too."""
    own = (life.incarnation, life.rank, life.process.start.pid)
    return [end for end in run.history.rank_ends if (end.incarnation, end.rank, end.pid) == own]


def _hangs_of(life: Life, run: Run) -> list[RankHung]:
    """What the hang watch recorded of a process that it ended."""
    own = (life.incarnation, life.rank, life.process.start.pid)
    return [hang for hang in run.history.hangs if (hang.incarnation, hang.rank, hang.pid) == own]


def _how_it_ended(life: Life, run: Run) -> str:
    exit_ = life.process.exit
    if exit_ is not None:
        return exit_.message or f"exit code {exit_.code}"
    for hang in _hangs_of(life, run):
        place = f" at {hang.place}" if hang.place else ""
        return f"made no progress for {hang.silent_s:.0f} s{place} and was ended by the hang watch"
    code = _agents_code(life, run)
    if code is not None and code < 0:
        return f"killed by signal {-code} ({_signal_name(-code)})"
    return (
        f"ended with exit code {code}, leaving no record"
        if code is not None
        else "left no record of its end: it was killed, or could record no more"
    )


def _exit_code(life: Life, run: Run) -> int | None:
    exit_ = life.process.exit
    code = exit_.code if exit_ is not None else _agents_code(life, run)
    return 128 - code if code is not None and code < 0 else code


def _agents_code(life: Life, run: Run) -> int | None:
    """What its node recorded of the process: negative for a signal."""
    codes = [end.exit_code for end in _ends_of(life, run)]
    own = (life.rank, life.process.start.pid)
    codes += [f.exit_code for end in run.history.ends for f in end.failures if (f.rank, f.pid) == own]
    return next((code for code in codes if code is not None), None)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "a real-time signal"
