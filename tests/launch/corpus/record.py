"""Records the run directories beside this file again, with the real tool: `python -m tests.launch.corpus.record [NAME]...`.

What no check needs is left out: checkpoints, and what the ranks printed. Paths of this machine become `/recorded`, and its
name `host`.
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.explain.outcome import Outcome, exit_code
from tests.launch.sealed import seal_again

CORPUS = Path(__file__).parent
SHARDED = CORPUS.parents[1] / "integration" / "jobs" / "fully_sharded.py"
KILL = "sigkill@step=5:rank=1"


@dataclass(frozen=True, kw_only=True)
class Recording:
    """How one directory came about, and what its evidence proves."""

    job: str
    """Arguments of the script."""
    outcome: str
    code: str = ""
    """Of the problem; "" if it is valid."""
    flags: tuple[str, ...] = ("--fault", KILL)
    command: str = "verify"
    script: Path = CORPUS / "job.py"
    launcher: tuple[str, ...] = ()
    """Of the ranks, where that is not ours."""


RECORDINGS = {
    "plain": Recording(job="plain", outcome="valid"),
    "epoch-restarted": Recording(job="epoch-restarted", outcome="invalid", code="batch_differs"),
    "sampler-epoch-forgotten": Recording(job="sampler-epoch-forgotten", outcome="invalid", code="batch_differs"),
    "optimizer-forgotten": Recording(job="optimizer-forgotten", outcome="invalid", code="state_differs"),
    "accumulation": Recording(job="accumulation", outcome="valid", flags=("--fault", "sigkill@step=2:rank=1")),
    "two-loaders": Recording(job="two-loaders", outcome="valid"),
    "inputs": Recording(job="inputs", outcome="valid"),
    "resized": Recording(
        job="plain", outcome="valid", flags=("--fault", KILL, "--restart", "job", "--restart-nproc-per-node", "1")
    ),
    "hang": Recording(
        job="hang", outcome="invalid", code="died_unplanned", flags=("--fault", KILL, "--hang-timeout", "3")
    ),
    "killed-twice": Recording(
        job="plain", outcome="valid", flags=("--fault", KILL, "--fault", "sigkill@step=6:rank=0")
    ),
    "torchrun": Recording(
        job="plain",
        outcome="valid",
        launcher=(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--max-restarts", "1"),
    ),
    "sharded": Recording(job="", outcome="valid", script=SHARDED),
    "sharded-moments-lost": Recording(job="--zero-moments 1", outcome="invalid", code="not_restored", script=SHARDED),
    "never-fired": Recording(
        job="plain", outcome="unknown", code="fault_did_not_fire", flags=("--fault", "sigkill@step=500:rank=1")
    ),
    "sweep": Recording(
        job="epoch-restarted",
        outcome="invalid",
        code="batch_differs",
        flags=("--no-chain", "--at", "1,5", "--ranks", "1"),
        command="sweep",
    ),
}


def record(name: str) -> None:
    """Run the job and keep its evidence, if it came out as expected."""
    recording = RECORDINGS[name]
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder).resolve()
        shutil.copy(recording.script, scratch / "job.py")
        command = [sys.executable, "-m", "resumable.launch", recording.command, "--run-dir", "run", *recording.flags]
        command += ["--", *recording.launcher] if recording.launcher else ["--nproc-per-node", "2"]
        command += ["job.py", *recording.job.split()]
        done = subprocess.run(command, cwd=scratch, check=False, capture_output=True, text=True, timeout=300)
        if done.returncode != exit_code(Outcome(recording.outcome)):
            raise SystemExit(f"{name}: expected {recording.outcome}; nothing is kept\n{done.stdout}{done.stderr}")
        shutil.rmtree(CORPUS / name, ignore_errors=True)
        for file in sorted((scratch / "run").rglob("*")):
            if file.is_file():
                place = _without_machine(str(file.relative_to(scratch / "run")), scratch)
                _keep(file, CORPUS / name / place, scratch)
    run_dir = RunDir(root=CORPUS / name)
    for scenario in sorted(folder.name for folder in run_dir.root.iterdir() if (folder / "events").exists()):
        seal_again(run_dir.scenario(scenario))  # paths were replaced


def _keep(file: Path, target: Path, scratch: Path) -> None:
    is_log = file.suffix == ".err"
    is_of_point = file.name == "verdict.json" and file.parent.name != "run"  # of a sweep: it was run to its end
    if is_log or is_of_point or file.name == "plan.json" or file.parent.name == "fired" or file.suffix == ".jsonl":
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("" if is_log else _without_machine(file.read_text(), scratch))


def _without_machine(text: str, scratch: Path) -> str:
    text = text.replace(str(scratch), "/recorded").replace(sys.executable, "python")
    text = re.sub(rf"(?<=[-\"]){re.escape(socket.gethostname())}(?=[-\"])", "host", text)
    return re.sub(r"/[^\s\"]*/resumable/", "/resumable/", text)


def main() -> None:
    """Record those that are named, or all."""
    for name in sys.argv[1:] or RECORDINGS:
        record(name)


if __name__ == "__main__":
    main()
