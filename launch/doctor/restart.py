"""A real restart, tried and not assumed: two gloo ranks, one of them killed, under torchrun and under our launcher."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from resumable.launch.doctor.dies_once import FINISHED, KILLED
from resumable.launch.doctor.finding import Finding, fail, ok, unknown, warn
from resumable.launch.doctor.probe import Subject
from resumable.launch.system.environment import node_environment
from resumable.launch.system.processes import kill_tagged, remove_scratch

START_LIMIT_S = 60.0
"""Until the ranks have met and one of them dies: on a cold disk torch takes long to import."""
RESTART_LIMIT_S = 30.0
"""From that death to the job's end; it takes a few seconds."""

_FLAGS = ("--nproc-per-node", "2", "--max-restarts", "1", "--local-addr", "127.0.0.1")
_SCRIPT = str(Path(__file__).with_name("dies_once.py"))
_UPSTREAM_FAULT = ("connectFullMesh", "Connection refused")
"""What gloo says when it reads an address that nobody listens on any more."""
_ERROR = re.compile(r"error|exception|refused|failed", re.IGNORECASE)
_MAX_WORDS = 200
_TICK_S = 0.1


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What came of one restart."""

    was_killed: bool
    """A rank died, so that there was something to restart."""
    has_finished: bool
    """The job did the rest of its work after that."""
    exit_code: int | None
    """None: it was still running at the limit."""
    output: str = ""

    @property
    def last_words(self) -> str:
        """The last line that names an error, or else the last of all, behind a colon; "" if nothing was said."""
        lines = [line.strip() for line in self.output.splitlines() if line.strip()]
        telling = [line for line in lines if _ERROR.search(line)] or lines
        return f": {telling[-1][:_MAX_WORDS]}" if telling else ""


def torchrun_restart(_subject: Subject) -> Finding:
    """Does a plain torchrun survive the death of a rank here?"""
    return judge_torchrun(_try([sys.executable, "-m", "torch.distributed.run", "--standalone", *_FLAGS]))


def judge_torchrun(trial: Trial) -> Finding:
    """Decide from a trial with torch's own agent."""
    name = "torchrun restart"
    if not trial.was_killed:
        return _not_tried(name, trial)
    if trial.has_finished and trial.exit_code == 0:
        return ok(name, "survived this time; releases with pytorch#135712 fail at random")
    how = "hung" if trial.exit_code is None else "failed"
    is_known = trial.exit_code is None or any(sign in trial.output for sign in _UPSTREAM_FAULT)
    why = ": restarted gloo ranks read the addresses of dead ones (pytorch#135712)" if is_known else trial.last_words
    return warn(
        name,
        f"`torchrun --max-restarts` {how} after a rank died{why}",
        "start jobs with `resumable run`, which takes the same flags; or set TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1",
    )


def resumable_restart(_subject: Subject) -> Finding:
    """Does our launcher survive it?"""
    with tempfile.TemporaryDirectory(prefix="resumable-doctor-") as folder:
        run_dir = str(Path(folder) / "run")
        return judge_resumable(_try([sys.executable, "-m", "resumable.launch", "run", "--run-dir", run_dir, *_FLAGS]))


def judge_resumable(trial: Trial) -> Finding:
    """Decide from a trial with our launcher."""
    name = "resumable restart"
    if not trial.was_killed:
        return _not_tried(name, trial)
    if trial.has_finished and trial.exit_code == 0:
        return ok(name, "a rank was killed, both were restarted, the job ended well")
    how = "hung" if trial.exit_code is None else f"failed with exit code {trial.exit_code}"
    fix = f"fix what else fails here, then try `resumable run --nproc-per-node 2 --max-restarts 1 {_SCRIPT} FOLDER`"
    return fail(name, f"a restart under `resumable run` {how}{trial.last_words}", fix)


def _not_tried(name: str, trial: Trial) -> Finding:
    end = f"did not get so far in {START_LIMIT_S:g} s" if trial.exit_code is None else f"ended with {trial.exit_code}"
    return unknown(name, f"the job {end} before a rank could be killed{trial.last_words}")


def _try(command: Sequence[str]) -> Trial:
    """Run the job under a launcher; nothing of it is left behind."""
    tag = uuid.uuid4().hex
    with tempfile.TemporaryDirectory(prefix="resumable-doctor-") as folder:
        marks = Path(folder)
        with (marks / "output").open("wb") as output:
            process = subprocess.Popen(
                [*command, _SCRIPT, folder],
                cwd=folder,
                env=node_environment(tag=tag, nproc_per_node=2, one_machine=True),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                exit_code = _wait(process, marks)
            finally:
                process.kill()
                process.wait()
                kill_tagged(tag)
                remove_scratch(tag)
        return Trial(
            was_killed=(marks / KILLED).exists(),
            has_finished=(marks / FINISHED).exists(),
            exit_code=exit_code,
            output=(marks / "output").read_text(errors="replace"),
        )


def _wait(process: subprocess.Popen[bytes], marks: Path) -> int | None:
    """Exit code, or None when a limit has passed."""
    deadline = time.monotonic() + START_LIMIT_S
    was_killed = False
    while time.monotonic() < deadline:
        try:
            return process.wait(timeout=_TICK_S)
        except subprocess.TimeoutExpired:
            if not was_killed and (marks / KILLED).exists():
                was_killed = True
                deadline = time.monotonic() + RESTART_LIMIT_S
    return None
