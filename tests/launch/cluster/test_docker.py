"""A project takes itself down, whatever happens to the process that started it; docker is a script."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from resumable.launch.cluster.docker import Project, find_compose
from resumable.launch.errors import NodeError, UsageError
from tests.integration.waiting import wait_until

FAKE = """#!/bin/sh
echo "$@" >> {calls}
case "$*" in
  *" up "*) sleep 1; echo "up is done" >> {calls};;
  *broken*" down "*) echo "it went wrong" >&2; exit 3;;
  *" down "*) echo "going down" >&2 || exit 1; echo "is down" >> {calls};;
  *broken*) echo "it went wrong" >&2; exit 3;;
esac
"""
PROGRAM = """
import sys
from pathlib import Path
from resumable.launch.cluster.docker import Project
project = Project(Path(sys.argv[1]), {{}})
{rest}
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What docker was called with; `up` takes longer than a guardian that does not wait for it."""
    calls = tmp_path / "calls"
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(FAKE.format(calls=calls))
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{docker.parent}:/usr/bin:/bin")
    return calls


@pytest.fixture
def compose_file(tmp_path: Path) -> Path:
    file = tmp_path / "compose.yaml"
    file.touch()
    return file


@pytest.fixture
def start(compose_file: Path) -> Callable[[str], subprocess.Popen[bytes]]:
    def run(rest: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM.format(rest=rest), str(compose_file)], stdin=subprocess.PIPE
        )

    return run


def has(calls: Path, words: str) -> bool:
    return calls.exists() and words in calls.read_text()


def test_a_closed_project_is_down(calls: Path, compose_file: Path) -> None:
    """Closing waits for it; a second time does nothing."""
    project = Project(compose_file, {})
    project.close()
    project.close()
    [down] = [line for line in calls.read_text().splitlines() if " down " in line]
    assert f"compose --project-name {project.name} --file {compose_file} down" in down


def test_a_project_goes_down_when_its_process_is_killed(calls: Path, start) -> None:
    """Nobody is left to listen to what the guardian says meanwhile."""
    process = start("project.run('docker', 'hello'); sys.stdin.read()")
    wait_until(lambda: has(calls, "hello"), timeout_s=30)
    process.kill()
    process.communicate()
    wait_until(lambda: has(calls, "is down"), timeout_s=30)


def test_a_project_goes_down_only_after_what_was_coming_up(calls: Path, start) -> None:
    """A container that is created after `down` would stay."""
    process = start("project.up(node=1)")
    wait_until(lambda: has(calls, " up "), timeout_s=30)
    process.kill()
    process.communicate()
    wait_until(lambda: has(calls, "is down"), timeout_s=30)
    assert calls.read_text().index("up is done") < calls.read_text().index(" down ")


def test_a_command_that_fails_is_told_in_its_own_words(calls: Path, compose_file: Path) -> None:
    """With its exit code."""
    project = Project(compose_file, {})
    with pytest.raises(NodeError, match=r"`docker broken` failed \(exit code 3\):\nit went wrong"):
        project.run("docker", "broken")
    project.close()


def test_a_project_that_does_not_go_down_says_what_removes_it(calls: Path, compose_file: Path) -> None:
    """Silence would leave containers."""
    project = Project(compose_file.rename(compose_file.with_name("broken.yaml")), {})
    with pytest.raises(NodeError, match=f"docker rm --force .*{project.name}.*\nit went wrong"):
        project.close()


def test_a_compose_file_must_exist(calls: Path, tmp_path: Path) -> None:
    """It is asked for before anything starts."""
    with pytest.raises(UsageError, match=r"nowhere.yaml' does not exist"):
        Project(tmp_path / "nowhere.yaml", {})


def test_without_docker_the_message_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No traceback of a program that was not found."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="no `docker` here"):
        find_compose()
