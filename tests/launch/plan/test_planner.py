from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from resumable.launch.errors import LaunchError, ScriptNotFoundError, UsageError
from resumable.launch.plan.plan import BUILT_IN_JOB, Plan
from resumable.launch.plan.repeat_command import repeat_command
from resumable.launch.plan.torchrun_flags import check_flags
from tests.launch.plans import plan_of


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text("pass\n")
    return "train.py"


def plan(*words: str) -> Plan:
    return plan_of(*words)


def test_the_scripts_own_arguments_are_never_ours(script: str) -> None:
    """What follows the script goes to the script, even where it looks like a flag of ours."""
    made = plan("verify", "--nproc-per-node", "2", script, "--seed", "7", "--fault", "x", "-q")
    assert made.script.arguments == ("--seed", "7", "--fault", "x", "-q")
    assert made.seed == 0


def test_what_a_stored_plan_could_not_say_is_refused(script: str) -> None:
    """A name of a file that is no UTF-8; any other is good."""
    assert plan("verify", script, "\u00e9\n").script.arguments == ("\u00e9\n",)
    with pytest.raises(UsageError, match=r"udcff'.*UTF-8"):
        plan("verify", script, "\udcff")


@pytest.mark.parametrize("spelling", ["--nproc-per-node=3", "--nproc_per_node=3"])
def test_torchruns_flags_keep_their_spellings(script: str, spelling: str) -> None:
    """Both spellings of torchrun are understood."""
    assert plan("verify", spelling, script).scenarios[0].nproc_per_start == (3,)


def test_flags_of_a_release_of_torch_without_the_newer_ones_are_as_good(
    script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that torch 2.6 lacks are not asked for, save by a torch that has them."""
    newer = {
        "duplicate_stderr_filters",
        "duplicate_stdout_filters",
        "event_log_handler",
        "numa_binding",
        "shutdown_timeout",
        "signals_to_handle",
        "virtual_local_rank",
    }
    flags = {name: value for name, value in plan("run", script).torchrun.items() if name not in newer}
    monkeypatch.setattr("torch.distributed.run.config_from_args", lambda _: None)
    check_flags(flags)


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


def test_there_may_be_more_references(script: str) -> None:
    """They show how far a job's numbers vary; one alone shows nothing."""
    made = plan("verify", "--references", "4", "--fault", "sigkill@step=1:rank=0", script)
    assert [scenario.name for scenario in made.references] == [f"reference-{number}" for number in (1, 2, 3, 4)]
    assert "--references 4" in repeat_command(made, made.scenarios[-1])


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


def test_torchruns_environment_says_how_often_the_agent_may_restart(
    script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As under torchrun; the flag stands above it."""
    monkeypatch.setenv("PET_MAX_RESTARTS", "2")
    assert plan("run", script).scenarios[-1].max_restarts == 2
    assert plan("run", "--max-restarts", "3", script).scenarios[-1].max_restarts == 3


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
        (("verify", "."), "is a folder without __main__.py"),
        (("verify", "-m", "no_such_module_anywhere"), "is not installed"),
        (("run",), "no script given"),
        (("verify", "--nproc-per-node", "0", "train.py"), "at least one rank"),
        (("verify", "--nproc-per-node", "many", "train.py"), "many: expected a number, auto, cpu or gpu"),
        (("verify", "--nnodes", "2:1", "train.py"), "1 <= MIN <= MAX"),
        (("verify", "--nnodes", "two", "train.py"), "expected N or MIN:MAX"),
        (("verify", "--nnodes", "2:", "train.py"), "expected N or MIN:MAX"),
        (("run", "-r", "5", "train.py"), "--redirects 5: "),
        (("run", "-t", "0:9", "train.py"), "--tee 0:9: "),
        (("run", "--local-ranks-filter", "x", "train.py"), "--local-ranks-filter x: "),
        (("run", "--rdzv-conf", "garbage", "train.py"), "--rdzv-conf garbage: "),
        (("run", "--shutdown-timeout", "-1", "train.py"), "--shutdown-timeout -1: "),
        (("run", "--logs-specs", "own", "train.py"), "--logs-specs own: "),
        (("run", "--event-log-handler", "own", "train.py"), "--event-log-handler own: "),
        (("run", "--rdzv-backend", "etcd", "train.py"), "--rdzv-backend etcd: expected static or c10d"),
        (("run", "--master-port", "99999", "train.py"), "--master-port 99999: expected 0 to 65535"),
        (("run", "--rdzv-endpoint", "host:1:2", "train.py"), "--rdzv-endpoint host:1:2: expected HOST:PORT"),
        (("run", "--rdzv-endpoint", "host:port", "train.py"), "--rdzv-endpoint host:port: expected HOST:PORT"),
        (("run", "--signals-to-handle", "SIGTERM,SIGUSER", "train.py"), "there is no signal 'SIGUSER'"),
        (("run", "--signals-to-handle", "SIGKILL", "train.py"), "nothing can handle SIGKILL"),
        (("verify", "--max-restarts", "-1", "train.py"), "expected 0 or more"),
        (("verify", "--restart-nproc-per-node", "2", "train.py"), "--restart job"),
        (("verify", "--rdzv-endpoint", "host:1", "train.py"), "for `resumable run`"),
        (("verify", "--backend", "gloo", "train.py"), "for the built-in job"),
        (("verify", "--references", "1", "train.py"), "expected 2 or more"),
        (("verify", "--no-such-flag", "train.py"), "--no-such-flag"),
        (("verify", "--fault", "nonsense", "train.py"), "expected kind@when:who"),
        (("sweep", "--kinds", "sigkill;torn", "train.py"), "sigkill;torn: expected a kind such as sigkill or torn"),
        (("nonsense",), "nonsense"),
    ],
)
def test_bad_arguments_get_one_clear_message(script: str, words: tuple[str, ...], message: str) -> None:
    """Each is refused before anything starts, with the words that are wrong."""
    with pytest.raises(UsageError, match=message):
        plan(*words)


@pytest.mark.parametrize("endpoint", ["host", "host:29500", "10.0.0.1:29500", "[::1]:29500"])
def test_an_endpoint_may_be_named_in_each_of_torchs_ways(script: str, endpoint: str) -> None:
    """Colons of an address are no second port."""
    assert plan("run", "--rdzv-endpoint", endpoint, script).torchrun["rdzv_endpoint"] == endpoint


def test_a_module_is_looked_for_where_the_command_was_given(script: str, tmp_path: Path) -> None:
    """The ranks of a proof work in a folder of their own, in which `python -m` would find nothing."""
    assert plan("verify", "-m", "train").script.folder == str(tmp_path)


def test_a_folder_with_a_main_file_is_a_script(script: str, tmp_path: Path) -> None:
    """As for `python`."""
    (tmp_path / "__main__.py").touch()
    assert plan("verify", ".").script.path == str(tmp_path)


def test_a_script_may_be_given_as_a_path_to_run(script: str, tmp_path: Path) -> None:
    """Every script is run like that, whatever else is said of it."""
    assert plan("run", "--run-path", "--no-python", script).script == plan("run", script).script


def test_a_missing_script_is_a_missing_file(script: str) -> None:
    """Callers may catch what they would expect."""
    with pytest.raises(FileNotFoundError):
        plan("verify", "missing.py")
    assert issubclass(ScriptNotFoundError, LaunchError)
