"""Hosts without containers: network namespaces with an address, a host name and processes of their own."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest


@dataclass(kw_only=True)
class Host:
    """One host; what runs on it ends with `lose`."""

    name: str
    namespace: str
    names_file: Path
    """Its `/etc/hosts`."""
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, command: Sequence[str], folder: Path) -> subprocess.Popen[str]:
        """Run a command in this folder, as if the host had just been switched on."""
        own = f"hostname {self.name} && mount --bind {self.names_file} /etc/hosts && mount -t tmpfs shm /dev/shm"
        own = f"{own} && export TMPDIR=/dev/shm"  # nobody is left to tidy up what a host that is lost has written
        alone = ("unshare", "--uts", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
        self.running.append(
            subprocess.Popen(
                ["ip", "netns", "exec", self.namespace, *alone, "sh", "-c", f"{own} && exec {shlex.join(command)}"],
                cwd=folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
        return self.running[-1]

    def lose(self) -> None:
        """Kill all that runs on it, at once."""
        for process in self.running:
            process.kill()
            process.communicate()
        self.running.clear()


@contextlib.contextmanager
def connected_hosts(num: int, folder: Path) -> Iterator[list[Host]]:
    """Hosts `host0`, `host1` and so on that know each other by name; where there can be none, the test is skipped."""
    if os.getuid() != 0 or shutil.which("ip") is None or shutil.which("unshare") is None:
        pytest.skip("NO HOSTS TESTED: network namespaces need root, `ip` and `unshare`")
    names = folder / "hosts"
    names.write_text("127.0.0.1 localhost\n" + "".join(f"10.77.0.{n + 1} host{n}\n" for n in range(num)))
    prefix = f"resumable-{uuid.uuid4().hex[:6]}"
    hosts = [Host(name=f"host{n}", namespace=f"{prefix}-{n}", names_file=names) for n in range(num)]
    switch = f"{prefix}-switch"
    with contextlib.ExitStack() as network:
        for namespace in (switch, *(host.namespace for host in hosts)):
            _ip(f"netns add {namespace}")
            network.callback(_ip, f"netns delete {namespace}")
        _ip(f"-n {switch} link add switch type bridge")
        _ip(f"-n {switch} link set switch up")
        for number, host in enumerate(hosts):
            _ip(f"-n {host.namespace} link add eth0 type veth peer name port{number} netns {switch}")
            _ip(f"-n {switch} link set port{number} master switch up")
            _ip(f"-n {host.namespace} address add 10.77.0.{number + 1}/24 dev eth0")
            _ip(f"-n {host.namespace} link set eth0 up")
            _ip(f"-n {host.namespace} link set lo up")
            network.callback(host.lose)
        yield hosts


def _ip(words: str) -> None:
    subprocess.run(["ip", *words.split()], check=True)
