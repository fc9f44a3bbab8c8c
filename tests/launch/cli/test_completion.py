from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from resumable.launch.cli.main import main
from resumable.launch.cli.parser import COMMANDS


def completed(line: str, capsys: pytest.CaptureFixture[str], folder: Path) -> list[str]:
    """What bash offers at the end of a line."""
    assert main(["completion", "bash"]) == 0
    words = line.split(" ")
    program = (
        f"{capsys.readouterr().out}\nCOMP_WORDS=({' '.join(map(repr, words))}); COMP_CWORD={len(words) - 1}\n"
        '_resumable_words; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    ended = subprocess.run(["bash", "-c", program], cwd=folder, capture_output=True, text=True, timeout=60, check=True)
    assert ended.stderr == ""
    return sorted(ended.stdout.split())


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("resumable ver", ["verify"]),
        ("resumable ", sorted(COMMANDS)),
        ("resumable verify --faul", ["--fault"]),
        ("resumable sweep --rdzv-b", ["--rdzv-backend"]),
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
    """torchrun's options too; files are left to the shell, which knows of spaces and `~`."""
    (tmp_path / "train.py").touch()
    assert expected == completed(line, capsys, tmp_path)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_is_one_that_it_can_read(
    shell: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """As far as the shell is installed."""
    assert main(["completion", shell]) == 0
    (tmp_path / "script").write_text(capsys.readouterr().out)
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    subprocess.run([shell, "-n", tmp_path / "script"], timeout=60, check=True)


def test_every_command_has_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    """In each of the shells."""
    for shell in ("bash", "zsh", "fish"):
        assert main(["completion", shell]) == 0
        script = capsys.readouterr().out
        assert [name for name in COMMANDS if name not in script] == []
        assert [word for word in ("fault", "kinds", "rdzv-endpoint", "html") if word not in script] == []
