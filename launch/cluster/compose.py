"""Nodes that are containers of docker/compose.yaml."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from resumable.launch.cluster import docker
from resumable.launch.cluster.channel import Channel
from resumable.launch.cluster.members import Members
from resumable.launch.errors import NodeError, UsageError
from resumable.launch.node.protocol import NodeRequest
from resumable.launch.plan.topology import Topology

_STORE = "store:29500"
"""The service that hosts the store, and its port in the compose file."""
_LINK = "eth0"
_IMAGE_USER = (1000, 1000)
"""Who the image runs as where this process is root: no node is."""


class ContainerNode(Channel):
    """A container whose first process is the node.

    Args:
        number: The node's.
        project: The container's.
        container: Its id.
        user: User and group that it runs as.
        log: Gets what the node and its ranks print; None: the caller's standard error.
    """

    def __init__(
        self, number: int, project: docker.Project, container: str, *, user: tuple[int, int], log: IO[bytes] | None
    ) -> None:
        self._project = project
        self._user = user
        self._is_cut = False
        self.container = container
        replies, reply_end = os.pipe()
        try:
            process = docker.attach(container, replies=reply_end, log=log.fileno() if log else None)
        finally:
            os.close(reply_end)
        if process.stdin is None:
            raise NodeError(f"node {number}: nobody can ask it anything")
        super().__init__(number, process, requests=process.stdin, replies=replies, log=log)

    def request(self, request: NodeRequest) -> None:
        """Ask for one start of the job, with folders that the node may write to."""
        _give(Path(request.run_dir, request.scenario), self._user)
        super().request(request)

    def interrupt(self, signum: int = signal.SIGTERM) -> None:
        """Send a signal to the node's first process, as an orchestrator does."""
        with contextlib.suppress(NodeError):
            self._project.run("docker", "kill", "--signal", str(int(signum)), self.container)

    def lose(self) -> None:
        """Kill and remove the container: the kernel ends all of it at once."""
        if not self.is_closed:
            self._project.run("docker", "rm", "--force", "--volumes", self.container)
            self.close()

    def cut(self) -> None:
        """Take the container's link down. Its processes run on and hear nothing."""
        self._set_link("down")
        self._is_cut = True

    def heal(self) -> None:
        """Take the link up, if it is down and there is still one."""
        if self._is_cut and not self.is_closed:
            self._set_link("up")
            self._is_cut = False

    def _set_link(self, state: str) -> None:
        program = ("python", "-P", "-m", "resumable.launch.cluster.link", _LINK, state)
        self._project.run("docker", "exec", "--user", "0", self.container, *program)


class ComposeCluster(Members[ContainerNode]):
    """Nodes as containers with a private network, and the store in one more.

    Args:
        topology: How many nodes there are.
        compose_file: docker/compose.yaml, or one like it.
        image: What the nodes are made of; has this project installed, and what the script needs.
        run_dir: The run directory; the nodes see it under the same path.
        code_dir: Folder of the script; the nodes see it under the same path and cannot write to it. The run directory
            itself where there is no script.
        preload: Modules that the fork servers import besides torch.
        log_dir: Gets what the nodes and their ranks print; None: that goes to the caller's standard error.
    """

    def __init__(
        self,
        topology: Topology,
        *,
        compose_file: Path,
        image: str,
        run_dir: Path,
        code_dir: Path,
        preload: Sequence[str] = (),
        log_dir: Path | None,
    ) -> None:
        super().__init__(log_dir)
        self.topology = topology.for_hosts()
        self._compose_file = compose_file
        self._image = image
        self._user = _IMAGE_USER if os.getuid() == 0 else (os.getuid(), os.getgid())
        self._settings = {
            "image": image,
            "user": ":".join(map(str, self._user)),
            "run_dir": str(run_dir.absolute()),
            # The same folder twice would be refused; that of the compose file is as good as none.
            "code_dir": str((compose_file.parent if code_dir == run_dir else code_dir).absolute()),
            "preload": " ".join(preload),
        }
        self._code_dir = code_dir.absolute()
        self._run_dir = run_dir.absolute()
        self._project: docker.Project | None = None

    def __enter__(self) -> Self:
        """Start all containers.

        Raises:
            UsageError: there is no engine, compose or image, or the nodes may not read the script.
            NodeError: compose could not start them.
        """
        self._project = docker.Project(self._compose_file, self._settings)
        try:
            self._start(self._project)
        except BaseException:
            with contextlib.suppress(NodeError):
                self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with contextlib.suppress(*[NodeError] if error else []):
            self.close()

    @property
    def endpoint(self) -> str:
        """The store's name and port in the private network."""
        return _STORE

    def replace(self, number: int) -> ContainerNode:
        """Start a container in the place of one that was lost; takes a second or two."""
        if self._project is None:
            raise NodeError("the cluster is not started")
        self._members[number].lose()
        known = {node.container for node in self.nodes}
        self._project.up(node=len(known) + 1)
        new = self._project.containers("node") - known
        if len(new) != 1:
            raise NodeError(f"node {number}: the new container did not start")
        self._members[number] = self._attach(self._project, number, new.pop())
        return self._members[number]

    def close(self) -> None:
        """Remove containers and network, whatever state they are in.

        Raises:
            NodeError: something may be left; the message says what removes it.
        """
        try:
            if self._project is not None:
                self._project.close()
        finally:
            for node in self.nodes:
                node.close()
            self._log_files.close()

    def _start(self, project: docker.Project) -> None:
        if not docker.has_image(self._image):
            raise UsageError(f"image {self._image!r} does not exist here; pull it, or build it: docker/image.sh")
        if os.getuid() == 0:
            os.chown(self._run_dir, *self._user)  # it is closed to all but its owner; root sees it all the same
            if self._code_dir != self._run_dir and not self._code_dir.stat().st_mode & stat.S_IXOTH:
                raise UsageError(
                    f"{self._code_dir} is closed to user {self._user[0]}, whom root's nodes run as: chmod o+rx"
                )
        project.up(store=1, node=self.topology.max_nodes)
        containers = sorted(project.containers("node"))
        for number, container in enumerate(containers):
            self._members[number] = self._attach(project, number, container)
        if len(containers) < self.topology.max_nodes:
            raise NodeError(f"{len(containers)} of {self.topology.max_nodes} containers run")
        self.wait_until_warm()

    def _attach(self, project: docker.Project, number: int, container: str) -> ContainerNode:
        return ContainerNode(number, project, container, user=self._user, log=self._log(number))


def _give(folder: Path, user: tuple[int, int]) -> None:
    """Let the nodes write where root made the folders."""
    if os.getuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, *user, follow_symlinks=False)
