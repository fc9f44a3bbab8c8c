"""Pages with a timeline: of evidence on the disk, and of so many batches that nobody would record them for a test."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import msgspec

from resumable.launch.evidence.rank_records import (
    AnyRecord,
    Batch,
    Load,
    Loader,
    Rename,
    Save,
    decode_line,
    encode_line,
)
from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.explain.outcome import Outcome
from resumable.launch.judge.results import Results
from resumable.launch.reading.evidence import Evidence
from resumable.launch.report.html import html
from resumable.launch.report.lanes import Lane, Link, Mark, Track
from resumable.launch.report.page import PageCase, PageData
from resumable.launch.report.reading import CaseEvidence, read_results
from resumable.launch.report.samples import Samples
from resumable.launch.sweep.verdict_store import VerdictStore
from resumable.launch.system.text_safety import script_json
from tests.launch import histories
from tests.launch.report import samples
from tests.launch.sweep.evidence import BAD, GOOD, PLAN, store
from tests.launch.sweep.sweeps import verdict

ATTACK = (
    "</script><script>window.broken = 1</script><!--<script><img src=x onerror='window.broken = 1'><b1>"
    "</td>\u2028\u2029\u202etxt.exe ]]>{{ 7 * 7 }}"
)
"""What a job may call its samples and files, and print."""
VISIBLE = "<script>window.broken = 1</script>"
"""A part of it that a reader of the page must see as text."""

_STEP_NS, _LIFE_NS = 1_000_000, 1_000_000_000
_DATA = re.compile(r'(<script type="application/json" id="data">).*?(</script>)', re.DOTALL)


NO_EVIDENCE = CaseEvidence(histories.plan(), RunDir(root=Path("/nowhere")))
"""As after the run directory was removed."""


def run_of(evidence: Evidence, root: Path) -> RunDir:
    """A run that left this evidence in a new folder, a millisecond a line and a second a life."""
    root.mkdir()
    return rewritten(samples.stored(evidence, root), timed)


def sweep_run(root: Path) -> RunDir:
    """A sweep of two points: one fails, one does not."""
    root.mkdir()
    groups = [histories.killed(samples.JOB, 5, rank=0), histories.resumed(samples.JOB, 4)]
    store(histories.evidence(samples.JOB, groups, GOOD.faults), root, GOOD.name)
    run_dir = store(samples.invalid(), root, BAD.name)
    run_dir.write_plan(PLAN)
    for point in (GOOD, BAD):
        VerdictStore(run_dir).enter(point, verdict(Outcome.VALID))
    return rewritten(run_dir, timed)


def hostile_run(root: Path) -> RunDir:
    """A job whose every name and word is an attack on who shows it."""
    root.mkdir()
    run_dir = rewritten(samples.stored(samples.invalid(), root), attacking)
    for log in root.glob("faulted/logs/*/*.err"):
        log.write_text(f"{ATTACK}\n")
    return run_dir


def page_of(run_dir: RunDir) -> str:
    """The page of a run directory."""
    return html(read_results(run_dir), CaseEvidence(run_dir.read_plan(), run_dir))


def rewritten(run_dir: RunDir, change: Callable[[AnyRecord, int], AnyRecord]) -> RunDir:
    """The same evidence with every line of its ranks changed.

    Args:
        run_dir: Of any command.
        change: Of a record and its incarnation.
    """
    for file in run_dir.root.glob("*/events/*.jsonl"):
        incarnation = int(file.name[1:4])
        records = [change(decode_line(line), incarnation) for line in file.read_bytes().splitlines()]
        file.write_bytes(b"".join(map(encode_line, records)))
    return run_dir


def timed(record: AnyRecord, incarnation: int) -> AnyRecord:
    """With a time of its own."""
    return msgspec.structs.replace(record, time_ns=record.sequence * _STEP_NS + incarnation * _LIFE_NS)


def attacking(record: AnyRecord, incarnation: int) -> AnyRecord:
    """With an attack in every text that is the job's."""
    record = timed(record, incarnation)
    match record:
        case Batch(indices=list(indices)):
            return msgspec.structs.replace(record, indices=[f"{index} {ATTACK}" for index in indices])
        case Save() | Load():
            return msgspec.structs.replace(record, path=record.path + ATTACK)
        case Rename():
            return msgspec.structs.replace(record, source=record.source + ATTACK, target=record.target + ATTACK)
        case Loader():
            return msgspec.structs.replace(record, dataset=ATTACK, sampler=ATTACK)
    return record


def without_evidence(results: Results) -> str:
    """The page of results whose run directory is gone."""
    return html(results, NO_EVIDENCE)


def data_in(page: str) -> PageData:
    """What the page's script reads."""
    match = _DATA.search(page)
    assert match is not None
    return msgspec.json.decode(page[match.end(1) : match.start(2)], type=PageData)


def with_data(page: str, data: PageData) -> str:
    """The same page with another timeline."""
    return _DATA.sub(lambda match: match[1] + script_json(msgspec.json.encode(data)) + match[2], page)


def huge(num_ranks: int = 8, num_steps: int = 12_500) -> PageData:
    """A rank's reference and the rank killed half way, for each rank: twice `num_ranks * num_steps` batches."""
    half = num_steps // 2
    lanes = [_lane(rank, 0, 0, half, num_steps) for rank in range(num_ranks)]
    lanes += [_lane(rank, 1, half - 100, num_steps - half + 100, num_steps) for rank in range(num_ranks)]
    links = tuple(Link(save=(0, 0), load=(num_ranks + rank, 0)) for rank in range(num_ranks))
    references = tuple(_lane(rank, 0, 0, num_steps, num_steps) for rank in range(num_ranks))
    batches = [list(range(8 * n, 8 * n + 8)) for n in range(num_ranks * num_steps)]
    return PageData(
        cases={"case-0": PageCase(outcome=Outcome.INVALID, track=0, reference=1)},
        tracks=(Track(name="faulted", lanes=tuple(lanes), links=links), Track(name="reference-1", lanes=references)),
        samples=Samples(batches=batches, sizes={}),
    )


def _lane(rank: int, incarnation: int, first: int, num: int, length: int) -> Lane:
    kind = "load" if incarnation else "save"
    shift = 1 if incarnation and rank == 1 else 0  # rank 1 is one batch ahead after the restart
    return Lane(
        rank=rank,
        incarnation=incarnation,
        world_size=8,
        first_step=first,
        num_steps=num,
        num_kept=num if incarnation else num - 100,
        num_replayed=100 if incarnation else 0,
        end="finished" if incarnation else "fault",
        how="finished",
        end_us=num * 1000,
        numbers=((rank * length + first + shift, num),),
        places=((0, first, num),),
        sizes=((1, num),),
        received_us=(1000,) * num,
        done_us=(1500, *(1000,) * (num - 1)),
        losses=(0.5,) * num,
        marks=(Mark(kind=kind, step=first, at_us=0, text="last.pt"),),
    )
