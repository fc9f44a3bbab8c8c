"""Ends ranks that make no progress, so that the agent can start the group again.

When one rank stands still, the others soon wait for it in a collective, so all fall silent at about the same time. The one
to end is one that is stopped, or whose stack is not in a collective, or else the first that fell silent. A node ends only
its own ranks, but looks at the evidence of all, so that only the node of that one acts; should it do nothing, the
others act after a second period.

A rank that has said nothing yet but that it is there imports and loads what it needs, which takes longer than a step. As
long as it may, nobody is to blame: the others wait for it.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import psutil

from resumable.launch.evidence.node_records import RankHung
from resumable.launch.evidence.rank_records import AnyRecord, Exit, Start, decode_line
from resumable.launch.evidence.recorded_text import RecordedText
from resumable.launch.evidence.run_dir import ScenarioDir
from resumable.launch.node.rank_processes import RankWatch, kill
from resumable.launch.node.rendezvous import Round
from resumable.launch.node.stacks import dump_stacks, dump_stacks_of_children, is_stopped, is_waiting, job_place

_START_S = 60.0
"""How long a rank may take for its imports and data, if that is more than the longest silence.

Nothing shows whether imports go on or stand still, so that there must be a limit.
"""
_LAST_LINE_BYTES = 1 << 16
_PASS_BORDERS = (b'{"event":"epoch_begin"', b'{"event":"epoch_end"')


@dataclass(frozen=True, kw_only=True)
class Silence:
    """Since when a rank has recorded nothing."""

    rank: int
    since_s: float
    """On any one clock that all ranks share."""
    is_stopped: bool = False
    """By SIGSTOP."""
    is_waiting: bool = False
    """In a collective, as far as its stack shows."""


def rank_to_end(silences: Collection[Silence], *, now_s: float, timeout_s: float) -> Silence | None:
    """The rank to end, or None while none has been silent for `timeout_s`."""
    overdue = [silence for silence in silences if now_s - silence.since_s >= timeout_s]
    return min(overdue, key=_likeliest_first, default=None)


def _likeliest_first(silence: Silence) -> tuple[bool, bool, float]:
    return not silence.is_stopped, silence.is_waiting, silence.since_s


class HangWatch:
    """Looks at the evidence of all ranks while the job runs.

    Args:
        scenario_dir: Holds the evidence; gets the stacks.
        round_: The round that the node is in.
        ranks: The node's own ranks.
        timeout_s: Longest silence of a rank that has recorded something.
        announce: Called with every rank that is ended, before it is.
    """

    def __init__(
        self,
        scenario_dir: ScenarioDir,
        round_: Round,
        ranks: RankWatch,
        *,
        timeout_s: float,
        announce: Callable[[RankHung], None],
    ) -> None:
        self._scenario_dir = scenario_dir
        self._round = round_
        self._ranks = ranks
        self._timeout_s = timeout_s
        self._announce = announce
        self._is_over = threading.Event()
        self._acted_in = -1
        self._progress_s: dict[Path, float] = {}

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Watch meanwhile, from a thread."""
        thread = threading.Thread(target=self._watch, daemon=True, name="hang-watch")
        thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            thread.join()

    def _watch(self) -> None:
        while not self._is_over.wait(min(0.25, self._timeout_s / 8)):
            pids = self._ranks.pids
            if pids and self._acted_in != self._round.incarnation:
                self._look(pids)

    def _look(self, pids: Mapping[int, int]) -> None:
        incarnation = self._round.incarnation
        files = self._files(incarnation)
        silences = [silence for file in files for silence in self._silence(file, pids)]
        wordless = self._without_a_word(files, pids)
        begins = [silence.since_s for silence in wordless] + [begin for file in files for begin in _starting_s(file)]
        is_starting = any(time.time() - begin < max(_START_S, self._timeout_s) for begin in begins)
        silences += wordless
        if not silences or is_starting:
            return
        own = [silence for silence in silences if silence.rank in pids]
        now_s = time.time()
        first = rank_to_end(silences, now_s=now_s, timeout_s=self._timeout_s)
        is_ours = first is not None and first.rank in pids
        # Its own node should end it; one that is gone, or stopped itself, cannot.
        if is_ours or rank_to_end(own, now_s=now_s, timeout_s=2 * self._timeout_s) is not None:
            self._acted_in = incarnation
            stacks = dump_stacks({self._stacks_file(rank): pid for rank, pid in pids.items()})
            texts = {rank: stacks.get(self._stacks_file(rank), "") for rank in pids}
            ended = min((replace(s, is_waiting=is_waiting(texts[s.rank])) for s in own), key=_likeliest_first)
            for rank, pid in pids.items():
                dump_stacks_of_children(self._stacks_file(rank), pid)
            place = job_place(texts[ended.rank])
            self._end(ended, pids, stacks, silent_s=now_s - ended.since_s, place=place)

    def _files(self, incarnation: int) -> list[Path]:
        return [
            file for file in self._scenario_dir.event_files() if self._scenario_dir.incarnation_of(file) == incarnation
        ]

    def _silence(self, file: Path, pids: Mapping[int, int]) -> Iterator[Silence]:
        rank = self._scenario_dir.rank_of(file)
        since_s = self._last_progress_s(file)
        if time.time() - since_s >= self._timeout_s and not isinstance(_last_record(file), Exit):
            yield Silence(rank=rank, since_s=since_s, is_stopped=is_stopped(pids.get(rank)))

    def _without_a_word(self, files: Collection[Path], pids: Mapping[int, int]) -> list[Silence]:
        """Own ranks that have not even said that they are there, though others have: before their first line they import."""
        spoken = {self._scenario_dir.rank_of(file) for file in files}
        starts = {rank: _started_s(pid) for rank, pid in pids.items() if spoken and rank not in spoken}
        return [
            Silence(rank=rank, since_s=since_s, is_stopped=is_stopped(pids[rank]))
            for rank, since_s in starts.items()
            if since_s is not None
        ]

    def _last_progress_s(self, file: Path) -> float:
        """When it last recorded something else than passes without a batch: a job may spin through those for ever."""
        if not _spins(file):
            self._progress_s[file] = RecordedText(file).modified_s()
        return self._progress_s.setdefault(file, RecordedText(file).modified_s())

    def _stacks_file(self, rank: int) -> Path:
        return self._scenario_dir.stacks_file(incarnation=self._round.incarnation, rank=rank)

    def _end(
        self, ended: Silence, pids: Mapping[int, int], stacks: Iterable[Path], *, silent_s: float, place: str
    ) -> None:
        self._announce(
            RankHung(
                incarnation=self._round.incarnation,
                rank=ended.rank,
                pid=pids[ended.rank],
                silent_s=round(silent_s, 3),
                is_stopped=ended.is_stopped,
                stacks=[str(file.relative_to(self._scenario_dir.root.parent)) for file in stacks],
                time_ns=time.monotonic_ns(),
                place=place,
            )
        )
        kill(pids[ended.rank])


def _spins(file: Path) -> bool:
    """Whether the last lines, as many as are looked at, are only of passes that begin and end."""
    # The first may begin in its middle and the last may be torn.
    whole = RecordedText(file).read_end(_LAST_LINE_BYTES).split(b"\n")[1:-1]
    return bool(whole) and all(line.startswith(_PASS_BORDERS) for line in whole)


def _last_record(file: Path) -> AnyRecord | None:
    """What the last whole line says; None if it cannot be read."""
    last = RecordedText(file).read_end(_LAST_LINE_BYTES).rpartition(b"\n")[0].rpartition(b"\n")[2]
    with contextlib.suppress(msgspec.DecodeError):
        return decode_line(last)
    return None


def _starting_s(file: Path) -> Iterator[float]:
    """When a rank said that it is there, if it has said nothing else yet."""
    if isinstance(_last_record(file), Start):
        yield RecordedText(file).modified_s()


def _started_s(pid: int) -> float | None:
    with contextlib.suppress(psutil.Error):
        return float(psutil.Process(pid).create_time())
    return None
