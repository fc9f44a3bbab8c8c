from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from resumable.launch.cli.help_texts import LAUNCHES, TOOLS
from resumable.launch.cli.main import main
from resumable.launch.cli.parser import parse
from resumable.launch.errors import UsageError
from resumable.launch.plan.fault_kinds import FaultKind

HEAVY = (
    "torch",
    "numpy",
    "jinja2",
    "xml",
    "resumable.launch.checks",
    "resumable.launch.judge",
    "resumable.launch.report",
)


@pytest.mark.parametrize("module", HEAVY)
def test_the_parser_loads_nothing_that_only_a_command_needs(module: str) -> None:
    """Every command pays for what its parser imports."""
    program = "import sys; before = {*sys.modules}; import resumable.launch.cli.parser; print(*{*sys.modules} - before)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    loaded = [name for name in ended.stdout.split() if f"{name}.".startswith(f"{module}.")]
    assert loaded == []


@pytest.mark.parametrize("command", [*LAUNCHES, *TOOLS])
def test_help_does_not_wait_for_torch(command: str) -> None:
    """Not even where torchrun's flags are shown."""
    program = "import sys; from resumable.launch.cli.main import main; sys.modules['torch'] = None; main(sys.argv[1:])"
    words = [sys.executable, "-c", program, command, "--help"]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, f"usage: resumable {command}" in ended.stdout) == (0, True), ended.stderr


@pytest.mark.parametrize("words", [["verify", "train.py"], ["plan", "--num-samples", "8"]])
def test_whoever_has_no_torch_is_told_to_install_it(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Evidence can be read without it, and no job be run, nor an order be drawn."""
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "torch.distributed.run", None)
    assert main(words) == 2
    assert "pip install torch" in capsys.readouterr().err


@pytest.fixture
def help_of(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[str], str]:
    """What `--help` of a command prints on 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")

    def printed(command: str) -> str:
        with pytest.raises(SystemExit, match=r"^0$"):
            parse([command, "--help"])
        return capsys.readouterr().out

    return printed


@pytest.mark.parametrize("command", LAUNCHES)
def test_the_help_of_a_command_fits_two_screens(command: str, help_of: Callable[[str], str]) -> None:
    """With what happens by default, and an example to type; the rest is one option away."""
    text = help_of(command)
    assert len(text.splitlines()) <= 60
    assert f"\n  resumable {command} --" in text
    assert f"resumable {command} --help-all" in text


@pytest.mark.parametrize("command", TOOLS)
def test_the_help_of_any_other_command_says_what_it_does_and_has_an_example(
    command: str, help_of: Callable[[str], str]
) -> None:
    """In one screen."""
    text = help_of(command)
    assert len(text.splitlines()) <= 40
    assert TOOLS[command].about.split(".")[0] in " ".join(text.split())
    assert f"resumable {command} " in text.split("examples\n")[1]


@pytest.mark.parametrize("command", LAUNCHES)
def test_the_whole_help_has_every_option_and_every_kind_of_fault(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """torchrun's too."""
    with pytest.raises(SystemExit, match=r"^0$"):
        parse([command, "--help-all"])
    text = capsys.readouterr().out
    wanted = ("--rdzv-backend", "--start-method", "--grace", *(kind.usage for kind in FaultKind))
    assert [word for word in wanted if word not in text] == []


@pytest.mark.parametrize("command", LAUNCHES)
def test_the_short_help_names_only_options_that_there_are(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One that was renamed would silently be missing."""
    with pytest.raises(SystemExit):
        parse([command, "--help-all"])
    text = capsys.readouterr().out
    spelled = [f"--{name.replace('_', '-')}" for name in LAUNCHES[command].common]
    assert [name for name in spelled if f" {name}" not in text] == []


@pytest.mark.parametrize(
    ("argv", "wanted"),
    [
        ([], "resumable verify --nproc-per-node 2 train.py"),
        (["--nproc-per-node", "2", "sweep", "train.py"], "\n  resumable sweep --nproc-per-node 2 train.py"),
        (
            ["--fault=exit(3)@step=7:rank=0", "train.py"],
            "\n  resumable verify '--fault=exit(3)@step=7:rank=0' train.py",
        ),
        (["record", "--rundir", "x", "--", "ls"], "did you mean: --run-dir"),
        (["verfy"], "did you mean: resumable verify"),
        (["frobnicate"], "commands: run, verify, sweep"),
        (["nothing/train.py"], "to prove that it resumes: resumable verify nothing/train.py"),
        (["verify", "--falt", "x", "train.py"], "did you mean: --fault"),
        (["verify", "--nproc_per_nod=2", "train.py"], "did you mean: --nproc"),
        (["sweep", "--rank", "any", "train.py"], "did you mean: --ranks"),
        (["verify", "--nproc", "2", "train.py"], "did you mean: --nproc-per-node"),
        (["run", "--zzz"], "try: resumable run --help"),
        (["doctor", "--quik"], "did you mean: --quick"),
        (["plan", "--num-sampels", "3"], "did you mean: --num-samples"),
        (["report", "a", "b"], "'b' is one argument too many"),
        (["compose", "--hepl"], "did you mean: --help"),
        (["check", "--agaisnt=x"], "did you mean: --against"),
        (["sweep", "--dry-run"], "no option --dry-run\ntry: resumable sweep --help"),
        (["example", "dpp"], "did you mean: ddp"),
        (["completion", "tcsh"], "expected one of bash, zsh, fish"),
        (["example", "DDP"], "did you mean: ddp"),
        (["verify", "--at", "3", "train.py"], "no option --at\nit is one of resumable sweep\ntry"),
        (["check", "--html", "x", "run"], "it is one of resumable verify, resumable sweep and resumable report"),
        (
            ["verify", "--epochs", "3", "train.py", "-x"],
            "one of train.py, write\n  resumable verify train.py --epochs 3 -x",
        ),
        (["verify", "--epochs=3", "-q", "train.py"], "write\n  resumable verify -q train.py --epochs=3"),
        (["help"], "did you mean: resumable --help"),
        (["help", "verify"], "did you mean: resumable verify --help"),
        (["-v"], "did you mean: resumable --version"),
        (["--verison"], "did you mean: resumable --version"),
        (["sweep", "--budget", "2m", "train.py"], "2m: expected seconds, such as 5, 0.5 or 120s"),
        (
            ["verify", "--html", "train.py"],
            "train.py is the value of --html here; write\n  resumable verify --html VALUE t",
        ),
        (["sweep", "--nproc-per-node", "train.py"], "write\n  resumable sweep --nproc-per-node VALUE train.py"),
        (["example"], "NAME is missing; for example\n  resumable example ddp"),
    ],
)
def test_what_was_mistyped_gets_the_nearest_right_word(argv: list[str], wanted: str) -> None:
    """Or, with nothing to go by, where to begin."""
    with pytest.raises(UsageError) as refused:
        parse(argv)
    assert wanted in str(refused.value)


def test_who_names_no_run_is_given_the_newest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it has to be typed."""
    for number, name in enumerate(("b", "a")):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "plan.json").touch()
        os.utime(tmp_path / "runs" / name / "plan.json", (number, number))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"which run\? the newest here is\n  resumable check runs/a$"):
        parse(["check"])


@pytest.mark.parametrize(
    ("argv", "wanted"),
    [
        (
            ["verify", "-q", "train.py", "--epochs", "2", "--fault", "sigkill@step=3:rank=0", "--lr=1"],
            "resumable verify -q --fault sigkill@step=3:rank=0 train.py --epochs 2 --lr=1",
        ),
        (
            ["run", "train.py", "--fault", "torn(keep=0.5)@save#1:rank=0"],
            "run --fault 'torn(keep=0.5)@save#1:rank=0' t",
        ),
        (["sweep", "-m", "pkg.train", "--at", "every:5"], "resumable sweep -m --at every:5 pkg.train"),
        (["sweep", "train.py", "--kinds", "sigkill,hang"], "resumable sweep --kinds sigkill,hang train.py"),
        (
            ["verify", "train.py", "--lr=1", "--fault=exit(3)@step=7:rank=0"],
            "verify '--fault=exit(3)@step=7:rank=0' train.py --lr=1",
        ),
        (["verify", "train.py", "--html", "page.html"], "resumable verify --html page.html train.py"),
        (["verify", "train.py", "--nproc-per-node", "2"], "resumable verify --nproc-per-node 2 train.py"),
        (["run", "-m", "pkg.train", "--nnodes=1:2", "--lr=1"], "resumable run -m --nnodes=1:2 pkg.train --lr=1"),
    ],
)
def test_an_option_of_ours_behind_the_script_is_noticed(argv: list[str], wanted: str) -> None:
    """The script would get it, and a run without it prove nothing that was asked for."""
    with pytest.raises(UsageError) as refused:
        parse(argv)
    assert wanted in str(refused.value)


@pytest.mark.parametrize(
    "argv",
    [
        ["verify", "--", "train.py", "--fault", "sigkill@step=3:rank=0"],
        ["verify", "train.py", "--fault", "tolerant"],
        ["verify", "train.py", "--at", "home"],
        ["verify", "train.py", "--seed", "3", "--html", "pages"],
        ["verify", "train.py", "--nproc-per-node", "many"],
    ],
)
def test_what_is_the_scripts_own_goes_to_the_script(argv: list[str]) -> None:
    """Behind `--` whatever it is, and without it what cannot be ours."""
    assert parse(argv).training_script_args == argv[argv.index("train.py") + 1 :]


def test_a_launcher_that_is_pasted_keeps_its_own_flags() -> None:
    """`env` stands for torchrun: a program that takes what stands behind it."""
    assert parse(["verify", "env", "--nproc-per-node", "2", "train.py"]).training_script == "env"
