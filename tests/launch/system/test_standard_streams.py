from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """What a shell does with a line in which `$PYTHON` is this interpreter."""
    environment = {**os.environ, "PYTHON": sys.executable}
    return subprocess.run(
        ["sh", "-c", line], cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


RESUMABLE = '"$PYTHON" -m resumable.launch'


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-", "1< /dev/null 2< /dev/null", "2> /dev/full"])
def test_who_closes_a_stream_still_gets_the_exit_code(tmp_path: Path, closed: str) -> None:
    """That of a usage error here; never that of a refuted job."""
    expected = 2
    actual = shell(f"{RESUMABLE} check nowhere {closed}", tmp_path).returncode
    assert expected == actual


def test_help_that_nobody_reads_is_no_error(tmp_path: Path) -> None:
    """Nothing is said on the other stream either."""
    ended = shell(f"{RESUMABLE} --help >&-", tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_what_is_printed_to_a_closed_stream_arrives_nowhere(tmp_path: Path) -> None:
    """Not in the file that is opened next, neither from this process nor from a child."""
    (tmp_path / "program.py").write_text(
        "import os, subprocess, sys\n"
        "from resumable.launch.system.standard_streams import open_closed_streams\n"
        "open_closed_streams()\n"
        "with open('evidence', 'w') as file:\n"
        "    print('own', flush=True)\n"
        "    os.write(1, b'of a library')\n"
        "    subprocess.run([sys.executable, '-c', 'print(1)'], check=True)\n"
        "    file.write('line')\n"
    )
    ended = shell('"$PYTHON" program.py >&-', tmp_path)
    assert (ended.returncode, ended.stderr, (tmp_path / "evidence").read_text()) == (0, "", "line")
