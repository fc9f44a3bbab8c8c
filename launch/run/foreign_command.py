"""Runs a command that starts ranks by itself: the recorder enters each of them."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from resumable.launch.errors import UsageError
from resumable.launch.evidence.history_reader import read_history
from resumable.launch.evidence.rank_records import FaultFired
from resumable.launch.evidence.recorded_text import RecordedText
from resumable.launch.evidence.run_dir import RunDir, ScenarioDir
from resumable.launch.plan.plan import Plan, Scenario
from resumable.launch.system.environment import Recording, with_folder
from resumable.launch.system.interrupt import Interrupted, is_in_foreground
from resumable.launch.system.offspring import leaving_none_behind, reap_adopted

NO_RANK = (
    "none has joined a process group or made an optimizer step while the command ran; a Python that is started with -S, -I, "
    "-E or a cleared environment is not reached, nor one that lacks what this package needs"
)
"""Why nobody was recorded, as far as anybody knows."""
SITE = Path(__file__).parents[1] / "worker" / "site"
"""Its `sitecustomize` reaches interpreters that have not installed this package; PYTHONPATH names it."""
_TICK_S = 0.1


def run_recorded(command: Sequence[str], recording: Recording) -> int:
    """Run it to its end; a signal that asks us to end is handed on, and the command's own end awaited.

    Args:
        command: A program, found as a shell finds it, and its arguments.
        recording: Where its ranks are recorded.

    Returns:
        Its exit code as a shell gives it: 128 + N if signal N ended it.

    Raises:
        UsageError: there is no such program.
        Interrupted: once it has ended, if we were asked to end.
    """
    with _started(command, recording.environment(site=SITE)) as process:
        try:
            code = process.wait()
        except Interrupted as error:
            if error.signum != signal.SIGINT or not is_in_foreground():  # else the terminal has sent it to all
                process.send_signal(error.signum)
            process.wait()
            raise
    return _as_in_shell(code)


def run_scenario(plan: Plan, scenario: Scenario, run_dir: RunDir, *, on_tick: Callable[[], None]) -> int:
    """Run the command of a plan as often as a scenario starts it, or until it ends well; nothing of it outlives a start.

    One that leaves with exit code 0 has not ended well if a rank that was hit is not running again: a pipe has the exit code
    of its last command, and many scripts of a shell have that of whatever comes last.

    Args:
        plan: Stored in `run_dir`.
        scenario: One of the plan's.
        run_dir: Gets the evidence.
        on_tick: Called about ten times a second meanwhile.

    Returns:
        The exit code of its last start as a shell gives it.
    """
    scenario_dir = run_dir.scenario(scenario.name)
    scenario_dir.create()
    code = 0
    script = plan.script.in_directory(scenario_dir.work)
    recording = Recording(run_dir=run_dir.root, scenario=scenario.name)
    environment = with_folder(recording.environment(site=SITE), script.folder)
    for start in range(len(scenario.nproc_per_start)):
        log = scenario_dir.command_log(start)
        log.parent.mkdir()
        with leaving_none_behind(), log.open("wb") as output:
            command = (script.path, *script.arguments)
            with _started(command, environment, cwd=scenario_dir.work, output=output.fileno()) as process:
                if not _is_awaited(process, scenario_dir, plan.hang_timeout_s or float("inf"), on_tick):
                    output.write(f"resumable: killed: nothing was recorded for {plan.hang_timeout_s} s\n".encode())
                code = process.wait()
        if code == 0 and not _is_given_up(scenario_dir):
            break
    return _as_in_shell(code)


def _is_given_up(scenario_dir: ScenarioDir) -> bool:
    """Whether a rank of the last worker group was hit by a fault, and has come to no good end."""
    if not scenario_dir.fired_faults():
        return False
    history = read_history(scenario_dir)
    last = max(history.incarnations, default=None)
    hit = [
        process
        for process in history.processes
        if process.incarnation == last and any(isinstance(record, FaultFired) for record in process.events)
    ]
    return any(process.exit is None or process.exit.code != 0 for process in hit)


def _as_in_shell(code: int) -> int:
    return 128 - code if code < 0 else code


def _started(
    command: Sequence[str], environment: Mapping[str, str], *, cwd: Path | None = None, output: int | None = None
) -> subprocess.Popen[bytes]:
    stdin = None if output is None else subprocess.DEVNULL
    try:
        return subprocess.Popen(command, env=environment, cwd=cwd, stdin=stdin, stdout=output, stderr=output)
    except OSError as error:
        raise UsageError(f"{command[0]}: cannot be started ({error.strerror})") from error


def _is_awaited(
    process: subprocess.Popen[bytes], scenario_dir: ScenarioDir, timeout_s: float, on_tick: Callable[[], None]
) -> bool:
    """Whether it has ended by itself; it is killed once no rank has recorded anything for so long."""
    seen, since = 0.0, time.monotonic()
    try:
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=_TICK_S)
                return True
            on_tick()
            reap_adopted((process.pid,))  # who left it behind may wait for its end
            recorded = max((RecordedText(file).modified_s() for file in scenario_dir.event_files()), default=0.0)
            if recorded != seen:
                seen, since = recorded, time.monotonic()
            elif time.monotonic() - since > timeout_s:
                process.kill()
                return False
    except BaseException:
        process.terminate()
        raise
