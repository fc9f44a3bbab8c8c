"""The lines that a node and its supervisor leave behind: rounds of its worker group, how they ended, what was done to it.

As those of the ranks (`resumable.launch.evidence.rank_records`), each is one JSON line and `time_ns` is CLOCK_MONOTONIC.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from resumable.launch.system.safe_io import decoded, encoded

Ordinal = Annotated[int, msgspec.Meta(ge=0, lt=1 << 20)]
"""Of a rank, a node or a worker group, or how many there are: readers go through all up to it."""


class RoundStarted(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="round"):
    """A node joined a round of the rendezvous and starts its ranks."""

    incarnation: Ordinal
    node: Ordinal
    """Group rank of this node in the round."""
    num_nodes: Ordinal
    ranks: list[Ordinal]
    world_size: Ordinal
    time_ns: int
    group: str = ""
    """What the worker group has drawn, where its rank 0 says this and no node of ours; `incarnation` is then the first
    number that was free in the run directory."""
    time_unix: float | None = None
    """Seconds since 1970 by the clock of this machine. Where a rank 0 says this, run directories of several attempts are put
    in this order."""
    job: str = ""
    """The scheduler's name of the job where a rank 0 says this; "" where there is none. It stays with a requeued job."""
    attempt: Ordinal = 0
    """How often the scheduler had requeued it."""


class RankEnded(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="rank_ended"):
    """The process of a rank is gone, for whatever reason."""

    incarnation: Ordinal
    rank: Ordinal
    pid: int
    time_ns: int
    exit_code: int | None = None
    """As `Popen.returncode`: negative for a signal."""


class RankHung(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="rank_hung"):
    """The hang watch ends a rank that made no progress."""

    incarnation: Ordinal
    rank: Ordinal
    pid: int
    silent_s: float
    """How long it had recorded nothing."""
    is_stopped: bool
    """By SIGSTOP."""
    stacks: list[str]
    """Files with the stacks of all ranks of the node that could answer, and of their loader workers, relative to the run
    directory."""
    time_ns: int
    place: str = ""
    """Innermost line of the job's own code in which it stood, as `train.py:19`; "" where its stack does not show one."""


class RankFailure(msgspec.Struct, frozen=True, kw_only=True):
    """How the elastic agent says that a rank failed."""

    rank: Ordinal
    pid: int
    exit_code: int
    """As `Popen.returncode`: negative for a signal."""
    message: str = ""


NodeOutcome = Literal["succeeded", "failed", "interrupted", "late"]
"""late: the node came when the others had brought the job to its end."""


class NodeEnded(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="ended"):
    """The elastic agent of a node returned."""

    node: Ordinal
    outcome: NodeOutcome
    time_ns: int
    message: str = ""
    failures: list[RankFailure] = []
    swept_pids: list[int] = []
    """Processes of the job that outlived their ranks (loader workers of a killed rank, say) and were ended by the node."""
    leftover_pids: list[int] = []
    """Processes of the job that were still there after that."""


NodeAct = Literal["interrupted", "lost", "replaced", "cut", "healed"]


class NodeFaultActed(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="node_fault"):
    """The supervisor did something to a node."""

    fault: int
    """Number of the fault in the plan."""
    node: Ordinal
    """Number of the node at the supervisor."""
    act: NodeAct
    time_ns: int


class Sealed(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="sealed"):
    """The scenario is over, and nobody writes any more: the last line of the supervisor's file."""

    plan: str
    """Digest of the plan, as far as it is this scenario's."""
    links: dict[str, str]
    """Link of the last whole line of every file of evidence, by its path within the scenario's folder; "" for one that has
    no whole line. The supervisor's own file is not among them."""
    time_ns: int


NodeRecord = RoundStarted | RankEnded | RankHung | NodeEnded | NodeFaultActed | Sealed

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[NodeRecord] = msgspec.json.Decoder(NodeRecord)


def encode_node_line(record: NodeRecord) -> bytes:
    """One line of a node's own file, its newline included."""
    return encoded(_encoder.encode, record) + b"\n"


def decode_node_line(line: bytes) -> NodeRecord:
    """The record of one line of a node's own file; raises as `records.decode_line` does."""
    return decoded(_decoder.decode, line)
