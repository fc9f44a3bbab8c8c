"""Docker's command line: the containers of one compose project, which cannot outlive this process."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Mapping
from pathlib import Path

from resumable.launch.errors import NodeError, UsageError
from resumable.launch.system.environment import compose_environment

_DOWN_TIMEOUT_S = 90.0


class Project:
    """A compose project under a name of its own.

    A guardian process takes the project down once it reads the end of a pipe. This process holds the other end, and so does
    every compose command that it runs: whether it closes the project, is killed, or is killed in the middle of a command,
    the guardian acts when the last of them is gone, and nothing that was being created is missed.

    Args:
        compose_file: What to start.
        settings: What it leaves open, by name without the prefix.

    Raises:
        UsageError: there is no compose, no engine, or no such file.
    """

    def __init__(self, compose_file: Path, settings: Mapping[str, str]) -> None:
        if not compose_file.is_file():
            raise UsageError(f"compose file {str(compose_file)!r} does not exist; `resumable compose DIR` writes one")
        self.name = f"resumable-{uuid.uuid4().hex[:12]}"
        self._environment = compose_environment(settings)
        self._compose = (*find_compose(), "--project-name", self.name, "--file", str(compose_file))
        down = (*self._compose, "down", "--volumes", "--remove-orphans", "--timeout", "0")
        # A file in memory, not a pipe: the guardian must be able to write when this process is gone.
        self._last_words = os.fdopen(os.memfd_create("guardian"), "rb")
        self._guardian = subprocess.Popen(
            ["sh", "-c", 'cat; exec "$@"', "guardian", *down],
            stdin=subprocess.PIPE,
            stdout=self._last_words,
            stderr=self._last_words,
            env=self._environment,
            start_new_session=True,
        )

    def up(self, **scale: int) -> None:
        """Create the containers that are missing; those that run stay as they are.

        Args:
            **scale: Containers of each service.

        Raises:
            NodeError: compose failed.
        """
        counts = [word for service, number in scale.items() for word in ("--scale", f"{service}={number}")]
        self.run(*self._compose, "up", "--detach", "--no-build", "--no-recreate", *counts, *scale)

    def containers(self, service: str) -> set[str]:
        """Ids of the containers of one service that run."""
        labels = {"com.docker.compose.project": self.name, "com.docker.compose.service": service}
        filters = [word for key, value in labels.items() for word in ("--filter", f"label={key}={value}")]
        return set(self.run("docker", "ps", "--quiet", "--no-trunc", *filters).split())

    def run(self, *command: str) -> str:
        """Run a command to its end, whatever happens meanwhile; returns what it printed.

        Raises:
            NodeError: it failed.
        """
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self._environment,
            pass_fds=(self._guarded(),),
            start_new_session=True,
            text=True,
        ) as process:
            output, errors = process.communicate()
        if process.returncode != 0:
            raise NodeError(f"`{' '.join(command)}` failed (exit code {process.returncode}):\n{errors.strip()}")
        return output

    def close(self) -> None:
        """Take everything down; returns when it is gone. Twice is once.

        Raises:
            NodeError: something may be left; the message says what removes it.
        """
        if self._guardian.stdin is None or self._guardian.stdin.closed:
            return
        self._guardian.stdin.close()
        try:
            self._guardian.wait(_DOWN_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._guardian.kill()
        with self._last_words as file:
            file.seek(0)
            words = file.read().decode(errors="replace").strip()
        if self._guardian.wait() != 0:
            hint = f"docker rm --force $(docker ps -aq --filter label=com.docker.compose.project={self.name})"
            raise NodeError(f"containers may be left; try: {hint}\n{words}")

    def _guarded(self) -> int:
        if self._guardian.stdin is None or self._guardian.stdin.closed:
            raise NodeError(f"project {self.name} is closed")
        return self._guardian.stdin.fileno()


def find_compose() -> tuple[str, ...]:
    """The compose command of this machine, with an engine that answers.

    Raises:
        UsageError: there is none; the message says what to install or start.
    """
    if shutil.which("docker") is None:
        raise UsageError("containers need docker's command line, and there is no `docker` here")
    if not _succeeds("docker", "info"):
        raise UsageError("no docker engine answers; start one, or in a clone put docker/engine.sh before the command")
    for command in (("docker", "compose"), ("docker-compose",)):
        if shutil.which(command[0]) is not None and _succeeds(*command, "version"):
            return command
    raise UsageError("there is neither `docker compose` nor `docker-compose` 1.29; install one of them")


def has_image(image: str) -> bool:
    """Whether the engine holds this image."""
    return _succeeds("docker", "image", "inspect", image)


def attach(container: str, *, replies: int, log: int | None) -> subprocess.Popen[bytes]:
    """The standard streams of a container's first process.

    Args:
        container: Its id.
        replies: Gets its standard output.
        log: Gets its standard error; None: the caller's.
    """
    return subprocess.Popen(
        ["docker", "attach", "--sig-proxy=false", container],
        stdin=subprocess.PIPE,
        stdout=replies,
        stderr=log,
        start_new_session=True,
    )


def _succeeds(*command: str) -> bool:
    quiet = subprocess.DEVNULL
    return subprocess.run(command, check=False, stdin=quiet, stdout=quiet, stderr=quiet).returncode == os.EX_OK
