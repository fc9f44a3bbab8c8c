"""Where a recorded job went on from what none of its processes had: evidence of an attempt or of a host is missing.

Whoever checks a recorded job names its folders, and may forget one, or name one of a different job. Nothing that a process
did from there on accuses the job.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from resumable.launch.evidence.history import Damage
from resumable.launch.evidence.rank_records import Save
from resumable.launch.reading.handovers import saves_read
from resumable.launch.reading.lives import Life, Run
from resumable.launch.reading.steps import NOTHING, Steps
from resumable.launch.system.wording import counted

_FOLDER = ": is an attempt's folder missing?"
_JOB = ": is it a different job? Each needs a folder of its own"


def gaps(run: Run, expected: Mapping[int, Steps]) -> Iterator[Damage]:
    """The first process of each rank that went on from work that nobody recorded.

    Args:
        run: Of a recorded job.
        expected: What each rank does in an undisturbed run; empty without one.
    """
    for timeline in run.timelines:
        lives = [life for life in timeline.lives if life.steps]
        missing = ((life, _missing_before(life, run, expected.get(life.rank, NOTHING))) for life in lives)
        for life, what in islice((one for one in missing if one[1]), 1):
            yield Damage(path=life.process.file, what=what)


def _missing_before(life: Life, run: Run, expected: Steps) -> str:
    """What the evidence lacks before this process began; "" for nothing."""
    num_done = _num_done_before(life, run)
    if life.resume is None:
        begin = life.steps[0].before or ""
        is_at_its_begin = not expected or begin == expected[0].before
        place = None if is_at_its_begin else next(expected.places_of(begin), None)
        if place is None:
            return ""
        return f"it begins with what the undisturbed run had after {counted(place + 1, 'step')}{_FOLDER}"
    if life.first_step > num_done:
        only = f"only {counted(num_done, 'step')} of its rank were recorded"
        return f"it goes on from step {life.first_step}, and {only}{_FOLDER}"
    if why := _why_another_job(life, run):
        return f"it starts from scratch {why}{_JOB}"
    if _is_known(life, run) or not _has_read_a_checkpoint(life, run):
        return ""
    return f"it goes on from a checkpoint and with parameters that no recorded process had{_FOLDER}"


def _num_done_before(life: Life, run: Run) -> int:
    """Steps that were recorded before this process began: of its rank or, where there was no such rank yet, of any."""
    earlier = [one for one in run.lives if one.incarnation < life.incarnation]
    is_new = all(life.rank >= one.process.start.world_size for one in earlier)
    return max((one.end_step for one in earlier), default=0) if is_new else len(life.before)


def _why_another_job(life: Life, run: Run) -> str:
    """Why nothing shows that it is an attempt of the job that came before it; "" if something does.

    What was killed had to be started again, if not in two jobs of a scheduler. What had ended well had not, unless it was
    requeued. What two jobs train on may be alike to the last bit.
    """
    before = run.group(life.incarnation - 1)
    job, attempt = _scheduled(life.incarnation, run)
    earlier_job, earlier_attempt = _scheduled(life.incarnation - 1, run)
    has_ended_well = bool(before) and all(one.process.has_ended_well for one in before)
    is_from_scratch = not any(life.trajectory.loaded) and (life.first_step == 0 or not _is_known(life, run))
    if is_from_scratch and job and earlier_job and job != earlier_job:
        return f"in {job}, after a life of {earlier_job}"
    is_requeued = bool(job) and job == earlier_job and attempt > earlier_attempt
    data, earlier = _data([life]), _data(before)
    has_other_data = bool(data) and bool(earlier) and data.isdisjoint(earlier)
    is_new = has_other_data or (is_from_scratch and not is_requeued)
    return "after a life that had ended well" if has_ended_well and is_new else ""


def _scheduled(incarnation: int, run: Run) -> tuple[str, int]:
    """The job of a worker group as its scheduler names it, and the number of the attempt."""
    round_ = next((one for one in run.history.rounds if one.incarnation == incarnation), None)
    return (round_.job, round_.attempt) if round_ is not None else ("", 0)


def _data(lives: Iterable[Life]) -> set[tuple[str, int | None]]:
    """Class and length of the data sets that were read; two jobs' may be alike in both, so only that they differ tells."""
    loaders = (loader for life in lives for loader in life.trajectory.loaders.values())
    return {(loader.dataset, loader.num_samples) for loader in loaders}


def _is_known(life: Life, run: Run) -> bool:
    """Whether the run had the parameters with which the process began; or nobody knows them."""
    start = life.steps[0].before
    if start is None:
        return True
    earlier = [one for one in run.lives if one.incarnation < life.incarnation]
    begins = {one.steps[0].before for one in earlier if one.steps}
    return start in begins or any(True for one in earlier for _ in one.steps.places_of(start))


def _has_read_a_checkpoint(life: Life, run: Run) -> bool:
    """Whether it read a file that a rank saves, or that the first processes did not read, and no save of this run in it."""
    if saves_read([life.trajectory], run.saved_before(life.incarnation)):
        return False
    saved = {record.path for one in run.lives for record in one.process.events if isinstance(record, Save)}
    first = run.group(run.history.incarnations[0])
    data = {path for one in first for path in one.trajectory.loaded} - saved - {one.path for one in run.checkpoints}
    return bool(set(life.trajectory.loaded) - data)
