from __future__ import annotations

from pathlib import Path

from resumable.launch.evidence.rank_records import Step
from resumable.launch.system.environment import Recording
from resumable.launch.worker.entering.process import RecordedProcess


def test_a_run_directory_that_is_gone_is_no_error_of_the_job(tmp_path: Path) -> None:
    """Whatever the file system answers: here that a name is too long."""
    nowhere = tmp_path / ("x" * 300)
    process = RecordedProcess(Recording(run_dir=nowhere, scenario="run"))
    process._successor = 1, nowhere
    process._look_for_successor(Step(sequence=0, time_ns=0, step=0))
    assert (process._saves(), process._successor) == ([], (1, nowhere))
