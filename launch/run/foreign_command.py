"""Runs a command that starts ranks by itself: the recorder enters each of them."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from resumable.launch.errors import UsageError
from resumable.launch.evidence.recorded_text import RecordedText
from resumable.launch.evidence.run_dir import RunDir, ScenarioDir
from resumable.launch.plan.plan import Plan, Scenario
from resumable.launch.system.environment import Recording, with_folder
from resumable.launch.system.interrupt import Interrupted, is_in_foreground
from resumable.launch.system.offspring import leaving_none_behind

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
    return 128 - code if code < 0 else code


def run_scenario(
    plan: Plan, scenario: Scenario, run_dir: RunDir, *, on_tick: Callable[[], None], log: Callable[[str], Path]
) -> bool:
    """Run the command of a plan as often as a scenario starts it, or until it ends well; nothing of it outlives a start.

    Args:
        plan: Stored in `run_dir`.
        scenario: One of the plan's.
        run_dir: Gets the evidence.
        on_tick: Called about ten times a second meanwhile.
        log: Gives the file for what a start prints, by the scenario's and the start's name.

    Returns:
        Whether it has ended well.
    """
    scenario_dir = run_dir.scenario(scenario.name)
    scenario_dir.create()
    script = plan.script.in_directory(scenario_dir.work)
    recording = Recording(run_dir=run_dir.root, scenario=scenario.name)
    environment = with_folder(recording.environment(site=SITE), script.folder)
    for start in range(len(scenario.nproc_per_start)):
        with leaving_none_behind(), log(f"{scenario.name}-{start}").open("wb") as output:
            command = (script.path, *script.arguments)
            process = _started(command, environment, cwd=scenario_dir.work, output=output.fileno())
            with process:
                code = _awaited(process, scenario_dir, plan.hang_timeout_s or float("inf"), on_tick)
        if code == 0:
            return True
    return False


def _started(
    command: Sequence[str], environment: Mapping[str, str], *, cwd: Path | None = None, output: int | None = None
) -> subprocess.Popen[bytes]:
    stdin = None if output is None else subprocess.DEVNULL
    try:
        return subprocess.Popen(command, env=environment, cwd=cwd, stdin=stdin, stdout=output, stderr=output)
    except OSError as error:
        raise UsageError(f"{command[0]}: cannot be started ({error.strerror})") from error


def _awaited(
    process: subprocess.Popen[bytes], scenario_dir: ScenarioDir, timeout_s: float, on_tick: Callable[[], None]
) -> int:
    """Its exit code; it is killed once no rank has recorded anything for so long."""
    seen, since = 0.0, time.monotonic()
    try:
        while True:
            try:
                return process.wait(timeout=_TICK_S)
            except subprocess.TimeoutExpired:
                on_tick()
            recorded = max((RecordedText(file).modified_s() for file in scenario_dir.event_files()), default=0.0)
            if recorded != seen:
                seen, since = recorded, time.monotonic()
            elif time.monotonic() - since > timeout_s:
                process.kill()
    except BaseException:
        process.terminate()
        raise
