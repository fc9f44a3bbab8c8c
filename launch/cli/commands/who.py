"""`resumable who`: which samples each rank trained on in a step, and when a sample was trained on."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console

from resumable.launch.errors import UsageError
from resumable.launch.evidence.bundle import opened
from resumable.launch.evidence.history_reader import read_history
from resumable.launch.evidence.recorded_runs import stored_plan
from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.explain.outcome import ExitCode
from resumable.launch.judge.verdict import read_evidence
from resumable.launch.reading.evidence import gather
from resumable.launch.reading.lives import Run
from resumable.launch.reading.occurrences import Occurrence, matching, occurrences
from resumable.launch.report.batches import shortened
from resumable.launch.report.outputs import STDOUT, write_output
from resumable.launch.system.text_safety import json_document, printable
from resumable.launch.system.wording import counted, place


def who(arguments: argparse.Namespace, console: Console) -> int:
    """Print what is found; returns 3 if it is nothing."""
    if arguments.batch is not None and arguments.epoch is None:
        raise UsageError(f"--batch {arguments.batch}: of which epoch? name it with --epoch")
    if arguments.step is arguments.sample is arguments.epoch is None:
        raise UsageError("who: name a --step, a --sample, or an --epoch and its --batch")
    with contextlib.ExitStack() as bundles:
        run = _run([bundles.enter_context(opened(Path(root))) for root in arguments.run_dirs])
    found = matching(
        run, step=arguments.step, epoch=arguments.epoch, batch=arguments.batch, sample=_sample(arguments.sample)
    )
    if arguments.json is not None:
        content = json_document(found)
        write_output("--json", arguments.json, content, untrusted=Path(arguments.run_dirs[0]))
    if arguments.json != STDOUT:
        for line in _lines(found, is_whole=arguments.sample is None) if found else [_nothing(run)]:
            console.print(printable(line), markup=False, highlight=False, soft_wrap=True)
    return ExitCode.VALID if found else ExitCode.UNKNOWN


def _run(run_dirs: Sequence[RunDir]) -> Run:
    """The run that is asked about: of a `verify`, the one with faults; several folders are those of one recorded job."""
    first = run_dirs[0]
    plan = stored_plan(first)
    if plan.sweep is not None:
        raise UsageError(f"{first.root}: a sweep has a run for every point; make one of them with `resumable verify`")
    if plan.command != "record":
        return read_evidence(plan, first).faulted
    [scenario] = plan.scenarios
    history = read_history(*(run_dir.scenario(scenario.name) for run_dir in run_dirs))
    return gather(plan, scenario, [], history).faulted


def _sample(text: str | None) -> int | str | None:
    """An index, or the `repr` of a key that is none."""
    if text is None:
        return None
    try:
        return int(text)
    except ValueError:
        return text


def _nothing(run: Run) -> str:
    """What can be asked for instead."""
    known = list(occurrences(run))
    if not known:
        return "nothing was trained on at all"
    samples = {sample for one in known for sample in one.samples}
    indices = [sample for sample in samples if isinstance(sample, int)]
    content = "batches that are known by the digest of their content"
    return (
        f"nothing was trained on there; it has steps 0 to {max(one.step for one in known)}, epochs 0 to "
        f"{max(one.epoch for one in known)}, {f'samples {min(indices)} to {max(indices)}' if indices else content}"
    )


def _lines(found: Sequence[Occurrence], *, is_whole: bool) -> Iterator[str]:
    num_kept = sum(one.is_kept for one in found)
    what = "batch" if is_whole else "time"
    thrown = f", and {counted(len(found) - num_kept, what)} in steps that a restart threw away"
    yield f"trained on {counted(num_kept, what)}" + (thrown if num_kept < len(found) else "")
    for one in found:
        losses = ", ".join(f"{loss:.6g}" for loss in one.losses if loss is not None)
        yield (
            f"step {one.step}, epoch {one.epoch}, batch {one.batch}: rank {one.rank} of incarnation {one.incarnation}"
            + (f", loss {losses}" if losses else "")
            + ("" if one.is_kept else ", thrown away")
        )
        yield f"  {' '.join(map(str, one.samples)) if is_whole else shortened(one.samples)}"
        yield f"  {place(one.file, one.line)}"
