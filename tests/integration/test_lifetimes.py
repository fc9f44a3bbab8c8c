"""Nothing that the launcher starts outlives it, whoever is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.integration.waiting import wait_until

SLEEPER = """
import time, torch
from torch.utils.data import DataLoader, TensorDataset
model = torch.nn.Linear(1, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(100_000):
    for (x,) in DataLoader(TensorDataset(torch.ones(8, 1)), batch_size=2, num_workers=1, persistent_workers=False):
        model(x).sum().backward()
        optimizer.step()
        time.sleep(0.05)
"""

HIDER = """
import subprocess
shell = "sleep 600 < /dev/null > /dev/null 2>&1 & echo $! >> hidden"
subprocess.run(["/bin/sh", "-c", shell], env={"PATH": "/usr/bin:/bin"}, start_new_session=True, check=True)
"""


def family(process: psutil.Process) -> list[psutil.Process]:
    return process.children(recursive=True)


def has_trained(run_dir: Path) -> bool:
    return any(b'"event":"step"' in file.read_bytes() for file in run_dir.glob("*/events/*.jsonl"))


def command_of(process: psutil.Process) -> str:
    return " ".join(process.cmdline())


@pytest.fixture(autouse=True)
def hash_seed() -> None:
    """Drawn anew, so that nodes have all that a node may have."""


@pytest.fixture
def temporary() -> Iterator[Path]:
    """Where the command puts temporary files; under `tmp_path` the names of sockets would be too long."""
    with tempfile.TemporaryDirectory(prefix="t-") as folder:
        yield Path(folder)


@pytest.fixture
def start(
    tmp_path: Path, temporary: Path
) -> Iterator[Callable[..., tuple[subprocess.Popen[str], list[psutil.Process]]]]:
    """Start a job that never ends by itself; gives the command and all its descendants once it trains."""
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str) -> tuple[subprocess.Popen[str], list[psutil.Process]]:
        script = tmp_path / "sleeper.py"
        script.write_text(SLEEPER)
        run_dir = tmp_path / "run"
        command = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "resumable.launch",
                *arguments,
                "--run-dir",
                str(run_dir),
                "--nproc-per-node",
                "2",
                str(script),
            ],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": str(temporary)},
        )
        started.append(command)
        wait_until(lambda: has_trained(run_dir), timeout_s=120)
        return command, family(psutil.Process(command.pid))

    yield run
    for command in started:
        command.kill()
        command.communicate()


def nodes_of(command: subprocess.Popen[Any]) -> list[psutil.Process]:
    """What is below them are forks, which look like them."""
    children = psutil.Process(command.pid).children()
    return [child for child in children if "resumable.launch.node" in command_of(child)]


def all_gone(processes: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=0)
    return not [process for process in alive if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize(
    ("method", "signum"),
    [
        ("forkserver", signal.SIGKILL),
        ("subprocess", signal.SIGTERM),
        ("subprocess", signal.SIGKILL),
    ],
)
def test_nothing_outlives_the_command(start, temporary: Path, method: str, signum: signal.Signals) -> None:
    """Ended or killed, the command takes nodes, ranks, their loader workers and temporary files with it."""
    command, descendants = start("verify", "--start-method", method)
    assert len(descendants) >= 4
    command.send_signal(signum)
    command.wait(timeout=60)
    wait_until(lambda: all_gone(descendants), timeout_s=20)
    wait_until(lambda: not list(temporary.glob("resumable-*")), timeout_s=20)


STUBBORN = """
import pathlib, signal, time
for signum in (signal.SIGINT, signal.SIGTERM):
    signal.signal(signum, lambda *_: pathlib.Path("asked").touch())
pathlib.Path("ready").touch()
while True:
    time.sleep(0.05)
"""


@pytest.mark.parametrize("method", ["forkserver", "subprocess"])
def test_a_second_interrupt_waits_for_nobody(tmp_path: Path, temporary: Path, method: str) -> None:
    """A rank that will not end has its 30 seconds only as long as the user has patience; nothing outlives the command."""
    (tmp_path / "stubborn.py").write_text(STUBBORN)
    words = [sys.executable, "-m", "resumable.launch", "run", "--start-method", method, "stubborn.py"]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    with subprocess.Popen(words, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL) as command:
        wait_until((tmp_path / "ready").exists, timeout_s=120)
        descendants = family(psutil.Process(command.pid))
        command.send_signal(signal.SIGINT)
        wait_until((tmp_path / "asked").exists, timeout_s=60)
        command.send_signal(signal.SIGINT)
        command.wait(timeout=20)
    wait_until(lambda: all_gone(descendants), timeout_s=20)
    wait_until(lambda: not list(temporary.glob("resumable-*")), timeout_s=20)
    assert command.returncode == -signal.SIGINT


def test_a_command_leaves_nothing_in_the_folder_for_temporary_files(tmp_path: Path, temporary: Path) -> None:
    """Nothing of its own, and no cache that torch makes for whoever imports it."""
    environment = {**os.environ, "TMPDIR": str(temporary)}
    words = [sys.executable, "-m", "resumable.launch", "verify", "--quiet", "--nproc-per-node", "2"]
    subprocess.run(words, cwd=tmp_path, env=environment, check=True, timeout=240)
    assert list(temporary.iterdir()) == []


def test_a_job_under_nohup_outlives_its_terminal(tmp_path: Path) -> None:
    """The signal that says so is ignored by the command, as it was when the command was started."""
    (tmp_path / "job.py").write_text(
        "import pathlib, time\npathlib.Path('ready').touch()\nwhile not pathlib.Path('over').exists(): time.sleep(0.05)\n"
    )
    words = ["nohup", sys.executable, "-m", "resumable.launch", "run", "job.py"]
    with subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as command:
        wait_until((tmp_path / "ready").exists, timeout_s=120)
        for process in [psutil.Process(command.pid), *family(psutil.Process(command.pid))]:
            process.send_signal(signal.SIGHUP)
        (tmp_path / "over").touch()
        assert command.wait(timeout=60) == 0


def test_no_rank_outlives_a_killed_node(start, temporary: Path) -> None:
    """When the node dies, its ranks, helpers and temporary files go too and the command says so."""
    command, descendants = start("verify")
    [node] = nodes_of(command)
    node.kill()
    _, errors = command.communicate(timeout=60)
    assert (command.returncode, "the node ended without an answer" in errors) == (3, True)
    wait_until(lambda: all_gone(descendants), timeout_s=20)
    assert list(temporary.glob("resumable-*")) == []


@pytest.mark.parametrize("method", ["forkserver", "subprocess"])
def test_what_hides_from_the_job_is_ended_with_it(tmp_path: Path, method: str) -> None:
    """A process that a rank leaves behind with an environment and a session of its own."""
    (tmp_path / "hider.py").write_text(HIDER)
    words = ["run", "--quiet", "--start-method", method, "--nproc-per-node", "2", "hider.py"]
    subprocess.run([sys.executable, "-m", "resumable.launch", *words], cwd=tmp_path, check=True, timeout=120)
    hidden = [int(pid) for pid in (tmp_path / "hidden").read_text().split()]
    assert [len(hidden), [pid for pid in hidden if psutil.pid_exists(pid)]] == [2, []]


def test_what_hides_from_a_job_whose_node_is_killed_is_ended_with_the_command(tmp_path: Path) -> None:
    """Then it comes to the command, which leaves no process behind."""
    (tmp_path / "hider.py").write_text(f"{HIDER}\nimport time\ntime.sleep(600)\n")
    words = ["-m", "resumable.launch", "run", "--quiet", "--nproc-per-node", "1", "hider.py"]
    with subprocess.Popen([sys.executable, *words], cwd=tmp_path, stderr=subprocess.DEVNULL) as command:
        wait_until(
            lambda: (tmp_path / "hidden").exists() and (tmp_path / "hidden").read_text().endswith("\n"), timeout_s=120
        )
        [node] = nodes_of(command)
        node.kill()
        command.wait(timeout=60)
    assert not psutil.pid_exists(int((tmp_path / "hidden").read_text()))


def test_an_interrupted_run_keeps_its_evidence_and_says_how_to_look_at_it(
    start, tmp_path: Path, temporary: Path
) -> None:
    """Ctrl-C leaves a run directory that `check` reads, UNKNOWN, one clear message, and nothing else."""
    command, descendants = start("verify")
    assert len(descendants) >= 4
    command.send_signal(signal.SIGINT)
    _, errors = command.communicate(timeout=60)
    assert (command.returncode, errors.count("Traceback")) == (3, 0)
    wait_until(lambda: all_gone(descendants), timeout_s=20)
    wait_until(lambda: not list(temporary.glob("resumable-*")), timeout_s=20)
    assert "resumable check run" in errors
    checked = subprocess.run(
        [sys.executable, "-m", "resumable.launch", "check", "run"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 3


def test_sigterm_to_run_reaches_the_ranks_and_is_the_exit_code(start) -> None:
    """A scheduler that ends `resumable run` gets 128 + SIGTERM, as from a shell."""
    command, descendants = start("run", "--record")
    command.send_signal(signal.SIGTERM)
    command.communicate(timeout=60)
    assert command.returncode == 128 + signal.SIGTERM
    wait_until(lambda: all_gone(descendants), timeout_s=20)


def test_the_calling_process_stays_as_it_was(tmp_path: Path) -> None:
    """Signal handlers and environment of a process that calls `main` are the same afterwards."""
    program = """
import os, signal, sys
from resumable.launch.cli.main import main
numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)
before = dict(os.environ), [signal.getsignal(number) for number in numbers]
main(["verify", "--quiet", "--run-dir", "run", "--nproc-per-node", "1", "missing_step.py"])
assert before == (dict(os.environ), [signal.getsignal(number) for number in numbers])
"""
    (tmp_path / "missing_step.py").write_text("pass\n")
    environment = {**os.environ, "PYTHONWARNINGS": "default"}
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, timeout=120, env=environment)
