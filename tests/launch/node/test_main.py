from __future__ import annotations

import subprocess
import sys

import pytest

TAKE = """
import os, subprocess
from resumable.launch.node.__main__ import _fill_standard_input, _take
requests, replies = _take(0, "rb"), _take(1, "wb")
_fill_standard_input()
subprocess.run(["sh", "-c", "cat; echo printed"], check=True)
replies.write(requests.readline())
replies.flush()
"""


def test_what_a_node_is_asked_is_not_what_its_ranks_read() -> None:
    """They find nothing on standard input, and what they print is no answer."""
    ended = subprocess.run([sys.executable, "-c", TAKE], input="asked\n", capture_output=True, text=True, check=True)
    assert (ended.stdout, ended.stderr) == ("asked\n", "printed\n")


def test_a_node_that_was_started_without_standard_input_has_an_empty_one() -> None:
    """No file of its own gets the number, and the ranks may read."""
    fill = "from resumable.launch.node.__main__ import _fill_standard_input\n_fill_standard_input()\n"
    read = "import subprocess\nsubprocess.run(['cat'], check=True)\n"
    ended = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", sys.executable, "-c", fill + read],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.slow
def test_a_node_that_cannot_go_on_says_why_and_ends() -> None:
    """No thread that still waits for a request turns its last words into an abort."""
    node = subprocess.Popen(
        [sys.executable, "-P", "-m", "resumable.launch.node", "0", "1"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with node:
        assert node.stdin is not None
        assert node.stdout is not None
        assert node.stderr is not None
        node.stdin.write("nonsense\n")
        node.stdin.flush()
        errors = node.stderr.read()
        assert (node.wait(timeout=60), "msgspec.DecodeError" in errors, "Fatal" in errors) == (1, True, False)
