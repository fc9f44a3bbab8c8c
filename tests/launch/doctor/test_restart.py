import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import psutil
import pytest

from resumable.launch.doctor import restart
from resumable.launch.doctor.finding import Status
from resumable.launch.doctor.restart import Trial, judge_resumable, judge_torchrun
from resumable.launch.system.processes import is_running

GOOD = Trial(was_killed=True, has_finished=True, exit_code=0)
FAILED = Trial(was_killed=True, has_finished=False, exit_code=1, output="x\nRuntimeError: Connection refused\n\n")
HUNG = Trial(was_killed=True, has_finished=False, exit_code=None)
NEVER_BEGAN = Trial(was_killed=False, has_finished=False, exit_code=1, output="No module named torch")
WITHOUT_WORK = Trial(was_killed=True, has_finished=False, exit_code=0)


@pytest.mark.parametrize(
    ("trial", "expected"),
    [
        (GOOD, Status.OK),
        (FAILED, Status.WARN),
        (HUNG, Status.WARN),
        (WITHOUT_WORK, Status.WARN),
        (NEVER_BEGAN, Status.UNKNOWN),
    ],
)
def test_torchrun_s_fault_is_a_warning(trial, expected):
    """Ours is the fix; and a trial that did not come to the restart says nothing."""
    assert expected == judge_torchrun(trial).status


@pytest.mark.parametrize(
    ("trial", "expected"),
    [
        (GOOD, Status.OK),
        (FAILED, Status.FAIL),
        (HUNG, Status.FAIL),
        (WITHOUT_WORK, Status.FAIL),
        (NEVER_BEGAN, Status.UNKNOWN),
    ],
)
def test_ours_must_survive(trial, expected):
    """Exit code 0 without the work done is no survival."""
    assert expected == judge_resumable(trial).status


def test_another_failure_is_not_laid_at_torch_s_door():
    """Without gloo's words, its own last words are shown."""
    other = Trial(was_killed=True, has_finished=False, exit_code=1, output="OSError: No space left on device")
    told = [judge_torchrun(trial).meaning for trial in (FAILED, HUNG, other)]
    assert ["135712" in meaning for meaning in told] == [True, True, False]
    assert told[2].endswith("No space left on device")


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("RuntimeError: no\nframe #1: main\n", ": RuntimeError: no"),
        ("one\n\ntwo\n\n", ": two"),
        ("", ""),
    ],
)
def test_the_last_words_are_the_last_error(output, words):
    """torch prints the frames of C++ below it."""
    assert words == Trial(was_killed=False, has_finished=False, exit_code=1, output=output).last_words


@pytest.fixture
def launcher(tmp_path, monkeypatch):
    """A stand-in for a launcher: a program that gets the job's script and its folder of marks."""
    monkeypatch.setattr(restart, "START_LIMIT_S", 20.0)
    monkeypatch.setattr(restart, "RESTART_LIMIT_S", 0.5)

    def attempt(program: str) -> Trial:
        file = tmp_path / "launcher.py"
        file.write_text(f"import sys, pathlib\nmarks = pathlib.Path(sys.argv[-1])\n{program}")
        return restart._try([sys.executable, str(file)])

    return attempt


def test_a_launcher_that_restarts_well_is_seen_to(launcher):
    """Both marks and its exit code."""
    trial = launcher("(marks / 'killed').touch(); (marks / 'finished').touch(); print('done')")
    assert Trial(was_killed=True, has_finished=True, exit_code=0, output="done\n") == trial


def test_a_launcher_that_hangs_is_ended_at_the_limit(launcher):
    """The limit runs from the death of the rank."""
    trial = launcher("import time; (marks / 'killed').touch(); time.sleep(300)")
    assert (trial.was_killed, trial.has_finished, trial.exit_code) == (True, False, None)


def test_a_launcher_that_breaks_at_once_is_heard(launcher):
    """Its last words are kept."""
    trial = launcher("sys.exit('nothing works')")
    assert (trial.was_killed, trial.exit_code, trial.last_words) == (False, 1, ": nothing works")


def test_an_interrupted_trial_leaves_no_process(tmp_path, monkeypatch, launcher):
    """Ctrl-C ends the launcher and what it started."""
    pids, written = os.pipe()

    def interrupted(_process: subprocess.Popen[bytes], _marks: Path) -> None:
        raise KeyboardInterrupt(int(os.read(pids, 20)))

    monkeypatch.setattr(restart, "_wait", interrupted)
    child = f"import os, time; os.write({written}, b'%d' % os.getpid()); time.sleep(300)"
    os.set_inheritable(written, True)
    monkeypatch.setattr(subprocess, "Popen", partial(subprocess.Popen, close_fds=False))
    program = f"import subprocess; subprocess.run([sys.executable, '-c', {child!r}], close_fds=False)"
    with pytest.raises(KeyboardInterrupt) as raised:
        launcher(program)
    os.close(pids)
    os.close(written)
    left = [process for process in psutil.process_iter() if process.pid == raised.value.args[0]]
    assert not any(map(is_running, left))
