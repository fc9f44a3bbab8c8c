from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from launch.arguments import parse
from launch.errors import LaunchError, ScriptNotFoundError, UsageError
from launch.plan import Plan
from launch.planner import BUILT_IN_JOB, make_plan


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text("pass\n")
    return "train.py"


def plan(*words: str) -> Plan:
    return make_plan(parse(words))


def test_the_scripts_own_arguments_are_never_ours(script: str) -> None:
    """What follows the script goes to the script, even where it looks like a flag of ours."""
    made = plan("verify", "--nproc-per-node", "2", script, "--seed", "7", "--fault", "x", "-q")
    assert made.script.arguments == ("--seed", "7", "--fault", "x", "-q")
    assert made.seed == 0


@pytest.mark.parametrize("spelling", ["--nproc-per-node=3", "--nproc_per_node=3"])
def test_torchruns_flags_keep_their_spellings(script: str, spelling: str) -> None:
    """Both spellings of torchrun are understood."""
    assert plan("verify", spelling, script).scenarios[0].nproc_per_start == (3,)


def test_a_flag_with_its_value_attached_does_not_swallow_the_script(script: str) -> None:
    """`-t3` has its value already."""
    assert plan("run", "-t3", script).script.path.endswith("train.py")


def test_verify_runs_the_reference_twice_and_then_the_faults(script: str) -> None:
    """A reference that does not reproduce itself would prove nothing."""
    made = plan("verify", "--fault", "sigkill@step=1:rank=0", script)
    assert [(scenario.name, len(scenario.faults)) for scenario in made.scenarios] == [
        ("reference-1", 0),
        ("reference-2", 0),
        ("faulted", 1),
    ]


def test_without_a_script_the_built_in_job_is_verified() -> None:
    """`resumable verify` alone does something worth seeing."""
    made = plan("verify", "--nproc-per-node", "4")
    assert made.script.path == BUILT_IN_JOB
    assert len(made.scenarios[-1].faults) == 2


def test_the_agent_may_restart_as_often_as_faults_need_it(script: str) -> None:
    """Two faults at one moment cost one restart; an explicit number stands."""
    faults = ("--fault", "sigkill@step=1:rank=all", "--fault", "sigkill@step=5:rank=0")
    assert plan("verify", "--nproc-per-node", "2", *faults, script).scenarios[-1].max_restarts == 2
    assert plan("verify", "--max-restarts", "7", *faults, script).scenarios[-1].max_restarts == 7


def test_starting_the_job_anew_may_change_the_number_of_ranks(script: str) -> None:
    """Each start of the command has its own number of ranks."""
    made = plan("verify", "--nproc-per-node", "4", "--restart", "job", "--restart-nproc-per-node", "2", script)
    assert made.scenarios[-1].nproc_per_start == (4, 2)
    assert made.scenarios[0].nproc_per_start == (4,)


def test_a_plan_survives_being_written_and_read(script: str) -> None:
    """What is stored is the whole plan."""
    made = plan("verify", "--nproc-per-node", "2", "--fault", "exit(3)@epoch=1,batch=2:rank=any", script)
    assert msgspec.json.decode(msgspec.json.encode(made), type=Plan) == made


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("verify", "missing.py"), "does not exist"),
        (("verify", "."), "is a folder"),
        (("verify", "-m", "no_such_module_anywhere"), "is not installed"),
        (("run",), "no script given"),
        (("verify", "--nproc-per-node", "0", "train.py"), "at least one rank"),
        (("verify", "--nproc-per-node", "many", "train.py"), "many"),
        (("verify", "--nnodes", "2:1", "train.py"), "1 <= MIN <= MAX"),
        (("verify", "--nnodes", "two", "train.py"), "expected N or MIN:MAX"),
        (("verify", "--max-restarts", "-1", "train.py"), "expected 0 or more"),
        (("verify", "--restart-nproc-per-node", "2", "train.py"), "--restart job"),
        (("verify", "--rdzv-endpoint", "host:1", "train.py"), "for `resumable run`"),
        (("verify", "--backend", "gloo", "train.py"), "for the built-in job"),
        (("verify", "--no-such-flag", "train.py"), "--no-such-flag"),
        (("verify", "--fault", "nonsense", "train.py"), "expected kind@when:who"),
        (("nonsense",), "nonsense"),
    ],
)
def test_bad_arguments_get_one_clear_message(script: str, words: tuple[str, ...], message: str) -> None:
    """Each is refused before anything starts, with the words that are wrong."""
    with pytest.raises(UsageError, match=message):
        plan(*words)


def test_a_missing_script_is_a_missing_file(script: str) -> None:
    """Callers may catch what they would expect."""
    with pytest.raises(FileNotFoundError):
        plan("verify", "missing.py")
    assert issubclass(ScriptNotFoundError, LaunchError)
