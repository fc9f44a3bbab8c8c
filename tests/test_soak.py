from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.soak import left_of


def test_what_is_left_is_told_from_what_other_programs_do(tmp_path: Path) -> None:
    """A process that was started with the folder of a soak, and files in it; not those of a different folder."""
    own, different = tmp_path / "own", tmp_path / "different"
    (own / "resumable-0123abcd").mkdir(parents=True)
    waiting = [sys.executable, "-S", "-c", "print(flush=True); input()"]
    environment = {**os.environ, "TMPDIR": str(own)}
    with subprocess.Popen(waiting, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        process.stdout.readline()
        left, nothing = left_of(own), left_of(different)
        process.kill()
    assert [f"process {process.pid}", f"temporary {own}/resumable-0123abcd"] == [
        words.split(": ")[0] for words in sorted(left)
    ]
    assert set() == nothing
