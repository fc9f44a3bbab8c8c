"""Ranks that somebody else starts: recorded over all their lives, and judged with an undisturbed run and without."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from resumable.launch.evidence.history_reader import read_history
from resumable.launch.evidence.rank_records import Batch, State, Step
from resumable.launch.evidence.run_dir import RunDir
from tests.integration.commands import ENVIRONMENT, JOB, TIMEOUT_S, resumable, spawn


def torchrun(*words: str, num_restarts: int = 2) -> list[str]:
    launcher = ["-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1", "--nproc-per-node", "2"]
    return [sys.executable, *launcher, "--max-restarts", str(num_restarts), JOB, *words]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    ended = resumable("record", "--run-dir", "run", "--", *torchrun("work", "-1"), folder=folder)
    assert ended.returncode == 0, ended.stderr
    return folder / "run"


@pytest.mark.parametrize(("how", "code", "outcome"), [((), 0, "VALID"), (("careless",), 1, "INVALID")])
def test_torchrun_that_restarts_its_ranks(
    tmp_path: Path, undisturbed: Path, how: tuple[str, ...], code: int, outcome: str
) -> None:
    """One run directory holds both lives; the good job is proved right, the careless one wrong even without a reference."""
    ended = resumable("record", "--run-dir", "run", "--", *torchrun("work", "7", *how), folder=tmp_path)
    assert (ended.returncode, "recorded 2 ranks in 2 incarnations" in ended.stderr) == (0, True), ended.stderr
    compared = resumable("check", "--quiet", "run", "--against", str(undisturbed), folder=tmp_path)
    assert (compared.returncode, compared.stdout.split(" ")[0]) == (code, outcome), compared.stdout
    alone = resumable("check", "--quiet", "run", folder=tmp_path)
    assert (alone.returncode, alone.stdout.split(" ")[0]) == (code, outcome), alone.stdout


@pytest.mark.parametrize(("how", "code"), [((), 0), pytest.param(("careless",), 1, marks=pytest.mark.thorough)])
def test_a_script_that_spawns_its_ranks_and_is_started_again(
    tmp_path: Path, undisturbed: Path, how: tuple[str, ...], code: int
) -> None:
    """Each attempt is a life of its own in the same run directory."""
    first = resumable("record", "--run-dir", "run", "--", *spawn("work", "7", *how), folder=tmp_path)
    second = resumable("record", "--run-dir", "run", "--", *spawn("work", "7", *how), folder=tmp_path)
    assert (first.returncode != 0, second.returncode) == (True, 0), second.stderr
    compared = resumable("check", "--quiet", "run", "--against", str(undisturbed), folder=tmp_path)
    assert compared.returncode == code, compared.stdout


def test_attempts_with_a_folder_each_are_one_job(tmp_path: Path, undisturbed: Path) -> None:
    """Whatever the order in which they are named, and how often; the variable alone does what the command does."""
    for attempt in ("a", "b"):
        variables = {**ENVIRONMENT, "RESUMABLE_RECORD": str(tmp_path / attempt), "PYTHONPATH": path_of_the_hook()}
        subprocess.run(
            spawn("work", "7"), cwd=tmp_path, env=variables, timeout=TIMEOUT_S, check=False, capture_output=True
        )
    compared = resumable("check", "--quiet", "b", "a", "b", "--against", str(undisturbed), folder=tmp_path)
    assert compared.returncode == 0, compared.stdout
    one = resumable("check", "b", "--against", str(undisturbed), folder=tmp_path)
    assert one.returncode == 3, one.stdout


def path_of_the_hook() -> str:
    from resumable.launch.run.foreign_command import SITE  # noqa: PLC0415 - of the installed package

    return os.pathsep.join([str(SITE), os.environ.get("PYTHONPATH", "")])


HELPERS = """
import multiprocessing, sys
import torch
from torch.utils.data import DataLoader, TensorDataset

def help():
    list(DataLoader(TensorDataset(torch.ones(4)), batch_size=2))

if __name__ == "__main__":
    model = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    data = TensorDataset(torch.ones(8, 1))
    for (x,) in DataLoader(data, batch_size=2, num_workers=2, multiprocessing_context=sys.argv[1]):
        model(x).sum().backward()
        optimizer.step()
    helper = multiprocessing.get_context(sys.argv[1]).Process(target=help)
    helper.start()
    helper.join()
    sys.exit(int(sys.argv[2]))
"""


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_loader_workers_and_helpers_are_no_ranks(tmp_path: Path, method: str) -> None:
    """One process trains; its end and its exit code are recorded, and of its batches what is to be kept."""
    (tmp_path / "job.py").write_text(HELPERS)
    command = ("record", "--run-dir", "run", "--keep", "quick", "--", sys.executable, "job.py", method, "5")
    ended = resumable(*command, folder=tmp_path)
    history = read_history(RunDir(root=tmp_path / "run").scenario("run"))
    [process] = history.processes
    assert (ended.returncode, process.start.world_size, process.exit.code, history.damage) == (5, 1, 5, ())
    assert {batch.indices for batch in process.records if isinstance(batch, Batch)} == {None}
    assert {(step.after, len(step.components)) for step in process.records if isinstance(step, Step)} == {(None, 0)}
    moments = [state.moment for state in process.records if isinstance(state, State)]
    assert (process.start.keep, moments) == ("quick", ["start"])


def test_a_command_in_which_nobody_trains_is_said_to_have_no_ranks(tmp_path: Path) -> None:
    """Silence is never success."""
    ended = resumable("record", "--run-dir", "run", "--", sys.executable, "-c", "import torch", folder=tmp_path)
    assert (ended.returncode, "no rank was recorded in run" in ended.stderr) == (0, True)
    assert resumable("check", "--quiet", "run", folder=tmp_path).returncode == 3


@pytest.mark.parametrize(
    ("command", "code", "outcome"),
    [
        pytest.param(torchrun("work", "-1", "careless"), 1, "INVALID", id="torchrun"),
        pytest.param(
            ["sh", "-c", f"{shlex.join(torchrun('work', '-1', num_restarts=0))} | cat"], 0, "VALID", id="a pipe"
        ),
    ],
)
def test_a_command_is_verified(tmp_path: Path, command: list[str], code: int, outcome: str) -> None:
    """References, a fault that a rank does to itself, another start of the command, and a verdict.

    What its end hides, as a pipe does that leaves with 0 whatever became of its ranks, the evidence shows.
    """
    words = ("verify", "--quiet", "--run-dir", "run", "--fault", "sigkill@step=7:rank=1", "--", *command)
    ended = resumable(*words, folder=tmp_path)
    assert (ended.returncode, ended.stdout.split(" ")[0].strip()) == (code, outcome), ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("script", "said"),
    [
        pytest.param("echo 'no such column' >&2; exit 3", ["exit code 3", "no such column", "command.out"], id="fails"),
        pytest.param(
            f"{sys.executable} -c 'int(str())'; seq 9; {sys.executable} -c 'raise SystemError(9)'",
            ["exit code 1", "ValueError: invalid literal", "SystemError: 9"],
            id="fails behind an error",
        ),
        pytest.param(
            f"PYTHONPATH=../../../../old:$PYTHONPATH {sys.executable} -c 'import torch'; seq 9",
            ["ended well, and no rank was recorded", "this process is not recorded: ImportError: an old one"],
            id="lacks what the recorder needs",
        ),
        pytest.param(
            "(sleep 0.2 & echo $! > pid); while kill -0 $(cat pid); do sleep 0.1; done",
            ["ended well, and no rank was recorded"],
            id="waits for the end of what it left behind",
        ),
    ],
)
def test_a_command_in_which_nobody_trains_is_not_verified(tmp_path: Path, script: str, said: list[str]) -> None:
    """What the recorder said is shown, or what was printed last."""
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "msgspec.py").write_text("raise ImportError('an old one')")
    ended = resumable("verify", "--", "sh", "-c", script, folder=tmp_path)
    assert (ended.returncode, [words for words in said if words not in ended.stderr]) == (2, [])


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("how", "code"), [(("--resumable",), 0), pytest.param((), 1, marks=pytest.mark.thorough)])
def test_lightning_starts_its_own_ranks(tmp_path: Path, how: tuple[str, ...], code: int) -> None:
    """Rank 0 is the script, the others are children of it; Lightning itself goes on at an epoch's first batch."""
    job = [sys.executable, str(Path(JOB).with_name("in_lightning.py")), *how]
    words = ("verify", "--quiet", "--fault", "sigkill@step=12:rank=1", "--", "env", "WORLD_SIZE=2", *job)
    ended = resumable(*words, folder=tmp_path, timeout_s=800)
    assert ended.returncode == code, ended.stdout + ended.stderr
