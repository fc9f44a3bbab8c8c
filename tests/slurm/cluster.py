"""A real Slurm on this machine: one controller and some node daemons, all on the loopback, without systemd."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.integration.waiting import wait_until

NEEDED = ("slurmctld", "slurmd", "srun", "unshare")
CONFIGURATION = """\
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
AuthType=auth/none
CredType=cred/none
AuthInfo=cred_expire=5
SlurmUser=root
SlurmdUser=root
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
MpiDefault=none
MailProg=/bin/true
SlurmdTimeout=5
KillWait=5
MessageTimeout=5
TCPTimeout=2
MinJobAge=600
ReturnToService=2
JobRequeue=1
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1,requeue_delay=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
{nodes}
PartitionName=low Nodes=ALL Default=YES State=UP PriorityTier=1 PreemptMode=REQUEUE
PartitionName=high Nodes=ALL State=UP PriorityTier=10 PreemptMode=OFF
"""
"""Nothing that needs cgroups, a database or a mailer; what makes a requeue and the loss of a node quick. Below five seconds
`cred_expire` is refused, and a requeued job waits for two minutes."""
START_S, END_S = 60, 240


@dataclass(kw_only=True)
class Slurm:
    """The cluster; its nodes are n1, n2 and so on."""

    folder: Path
    num_nodes: int

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "SLURM_CONF": str(self.folder / "slurm.conf")}

    def run(self, *command: str, cwd: Path | None = None, **variables: str) -> str:
        """What a command of Slurm prints."""
        environment = {**self.environment, **variables}
        ended = subprocess.run(
            command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=240, check=False
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def state(self, job: str) -> str:
        """Of a job: PENDING, RUNNING, COMPLETED, FAILED ..."""
        shown = self.run("scontrol", "show", "job", job)
        return next(word.split("=")[1] for word in shown.split() if word.startswith("JobState="))

    def wait_for(self, job: str) -> None:
        """Wait until it has ended well; each look starts a program."""
        wait_until(lambda: self.state(job) == "COMPLETED", timeout_s=END_S, every_s=0.5)

    def start_node(self, number: int) -> None:
        hosts = f'mount --bind {self.folder}/hosts /etc/hosts && exec slurmd -N n{number} -f "$SLURM_CONF"'
        own = ("unshare", "--mount", "--propagation", "private", "sh", "-c", hosts)
        subprocess.run(own, env=self.environment, cwd=self.folder, check=True)

    def nodes_of(self, job: str) -> list[int]:
        """Numbers of the nodes on which it runs."""
        shown = self.run("squeue", "--noheader", "--job", job, "--format", "%N").strip()
        return [int(name.removeprefix("n")) for name in self.run("scontrol", "show", "hostnames", shown).split()]

    @contextlib.contextmanager
    def without_node(self, number: int, *, tasks: bool) -> Iterator[None]:
        """Kill the daemon of a node, as if the power had gone, or alone, while its tasks live on; in the end it is back."""
        psutil.Process(int((self.folder / f"slurmd.n{number}.pid").read_text())).kill()
        if tasks:
            for process in self._own(SLURMD_NODENAME=f"n{number}"):
                with contextlib.suppress(psutil.Error):
                    process.kill()
        yield
        self.start_node(number)
        wait_until(lambda: _num_idle(self) == self.num_nodes, timeout_s=START_S, every_s=0.2)

    def end(self) -> None:
        """Cancel all jobs and end every process of the cluster."""
        subprocess.run(["scancel", "--full", "--user", "root"], env=self.environment, check=False, timeout=20)
        for file in self.folder.glob("*.pid"):
            with contextlib.suppress(OSError, ValueError, psutil.Error):
                os.kill(int(file.read_text()), signal.SIGKILL)
        for process in self._own():
            with contextlib.suppress(psutil.Error):
                process.kill()

    def _own(self, **variables: str) -> list[psutil.Process]:
        """Processes of this cluster, and of no other that has nodes of the same names, with these variables."""
        wanted = {"SLURM_CONF": self.environment["SLURM_CONF"], **variables}
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.pid != os.getpid() and wanted.items() <= process.environ().items():
                    found.append(process)
        return found


@contextlib.contextmanager
def running(folder: Path, *, num_nodes: int = 2, cpus: int = 4) -> Iterator[Slurm]:
    """A cluster that is up; where Slurm is not installed the test is skipped."""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing or os.getuid() != 0:
        pytest.skip(f"SLURM NOT TESTED: needs root, and of Slurm: {', '.join(missing) or 'nothing'}")
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(num_nodes + 1)]
    port, *ports = (each.getsockname()[1] for each in sockets)
    for each in sockets:
        each.close()
    host = socket.gethostname().split(".")[0]
    nodes = "\n".join(
        f"NodeName=n{n} NodeHostname={host} NodeAddr=127.0.0.1 Port={own} CPUs={cpus} State=UNKNOWN"
        for n, own in enumerate(ports, start=1)
    )
    (folder / "state").mkdir()
    (folder / "slurm.conf").write_text(CONFIGURATION.format(folder=folder, host=host, port=port, nodes=nodes))
    names = "".join(f"127.0.0.1 n{n}\n" for n in range(1, num_nodes + 1))
    (folder / "hosts").write_text(Path("/etc/hosts").read_text() + names)
    slurm = Slurm(folder=folder, num_nodes=num_nodes)
    try:
        subprocess.run(["slurmctld", "-c", "-f", str(folder / "slurm.conf")], env=slurm.environment, check=True)
        for number in range(1, num_nodes + 1):
            slurm.start_node(number)
        wait_until(lambda: _num_idle(slurm) == num_nodes, timeout_s=START_S, every_s=0.2)
        yield slurm
    finally:
        slurm.end()


def _num_idle(slurm: Slurm) -> int:
    shown = ["sinfo", "--noheader", "--Node", "--partition", "low", "--states", "idle", "--format", "%N"]
    ended = subprocess.run(shown, env=slurm.environment, capture_output=True, text=True, check=False, timeout=30)
    return len(ended.stdout.split())
