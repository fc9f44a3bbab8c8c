from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from resumable.launch.cli.main import main
from resumable.launch.cli.parser import COMMANDS


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What a shell is given."""
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


def offered(shell: str, program: str, folder: Path) -> list[str]:
    """What a program of a shell prints, by words."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    ended = subprocess.run([shell, "-c", program], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert ended.stderr == ""
    return sorted(ended.stdout.split())


def offered_by_bash(line: str, program: str, folder: Path) -> list[str]:
    """What bash offers at the end of a line."""
    words = line.split(" ")
    place = f"COMP_WORDS=({' '.join(map(repr, words))}); COMP_CWORD={len(words) - 1}"
    whole = f"COMP_LINE={line!r}; COMP_POINT={len(line)}"
    ask = '_resumable_words; printf "%s\\n" "${COMPREPLY[@]}"'
    return offered("bash", f"{program}\n{place}; {whole}; {ask}", folder)


def offered_by_fish(line: str, program: str, folder: Path) -> list[str]:
    """What fish offers at the end of a line, without what it says of it."""
    ask = f"complete --do-complete={line!r} | string split --fields 1 \\t"
    return offered("fish", f"{program}\n{ask}", folder)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("resumable ver", ["verify"]),
        ("resumable ", sorted(COMMANDS)),
        ("resumable verify --faul", ["--fault"]),
        ("resumable sweep --nproc", ["--nproc-per-node"]),
        ("resumable doctor --qu", ["--quick"]),
        ("resumable plan --num", ["--num-samples"]),
        ("resumable verify --restart ", ["agent", "job"]),
        ("resumable example pl", ["plain"]),
        ("resumable verify tra", []),
    ],
)
def test_bash_completes_commands_options_and_their_values(
    line: str, expected: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Files are left to the shell, which knows of spaces and `~`."""
    (tmp_path / "train.py").touch()
    assert expected == offered_by_bash(line, script("bash", capsys), tmp_path)


@pytest.mark.parametrize("offered_by", [offered_by_bash, offered_by_fish])
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("resumable verify train.py --faul", []),
        ("resumable verify --quiet train.py --faul", []),
        ("resumable sweep --nproc-per-node 2 train.py --epochs 2 --faul", []),
        ("resumable verify -- torchrun --faul", []),
        ("resumable record torchrun --run-d", []),
        ("resumable verify --nproc-per-node 2 --faul", ["--fault"]),
        ("resumable verify --fault=sigkill@step=7:rank=0 --quiet --faul", ["--fault"]),
        ("resumable check run --agains", ["--against"]),
    ],
)
def test_behind_a_script_options_are_its_own(
    offered_by: Callable[[str, str, Path], list[str]],
    line: str,
    expected: list[str],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """What stands behind an option that takes a value is no script; behind a run directory there are options."""
    shell = "bash" if offered_by is offered_by_bash else "fish"
    assert expected == offered_by(line, script(shell, capsys), tmp_path)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_is_one_that_it_can_read(
    shell: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As far as the shell is installed; torch, which takes a second, is not asked."""
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "script").write_text(script(shell, capsys))
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    subprocess.run([shell, "-n", tmp_path / "script"], timeout=60, check=True)


def test_every_command_has_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    """In each of the shells."""
    for shell in ("bash", "zsh", "fish"):
        text = script(shell, capsys)
        assert [name for name in COMMANDS if name not in text] == []
        assert [word for word in ("fault", "kinds", "nproc-per-node", "html") if word not in text] == []
