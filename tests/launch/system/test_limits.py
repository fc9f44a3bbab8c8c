from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest

from resumable.launch.system.limits import NODE_FILES, RANK_FILES, too_many_ranks
from tests.launch.plans import plan_of


@pytest.fixture
def few_files() -> Iterator[int]:
    """As after `ulimit -n 64`."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, before[1]))
    yield 64
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("words", [("--nproc-per-node", "99999999999"), ("--nnodes", "99999999999")])
@pytest.mark.parametrize("command", ["verify", "sweep", "run"])
def test_more_than_any_machine_holds_is_refused_at_once(command: str, words: tuple[str, str]) -> None:
    """With the flag, and what the machine allows."""
    script = (__file__,) if command == "run" else ()
    with pytest.raises(ValueError, match=rf"^{' '.join(words)}: this machine allows \d+ processes$"):
        plan_of(command, *words, *script)


def test_more_ranks_after_a_restart_than_any_machine_holds_are_refused_too() -> None:
    """That many will never be there."""
    with pytest.raises(ValueError, match=r"^--restart-nproc-per-node 99999999999: this machine allows"):
        plan_of("verify", "--restart", "job", "--restart-nproc-per-node", "99999999999")


def test_ranks_for_which_a_node_cannot_open_its_files_are_refused(few_files: int) -> None:
    """Up to there nothing is said."""
    most = (few_files - NODE_FILES) // RANK_FILES
    assert (too_many_ranks(most), str(too_many_ranks(most + 1))[:27]) == (None, "a process may open 64 files")
