from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

PROGRAM = """
import json, multiprocessing, os, sys
from resumable.launch.node.fork_servers import ForkServers
from tests.launch.node.test_fork_servers import describe

if __name__ == "__main__":
    context = multiprocessing.get_context("forkserver")
    multiprocessing.set_forkserver_preload(["colorsys"])
    context.Process(target=int).start()
    servers = ForkServers()
    answers = []
    for incarnation in json.loads(sys.argv[1]):
        if incarnation is None:
            servers.prepare_for_restarts()
            continue
        servers.use(incarnation)
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=describe, args=(sender,))
        process.start()
        answers.append(receiver.recv())
        process.join()
    print(json.dumps([answers, sorted(servers.pids)]))
    sys.stdout.flush()
"""


def describe(sender) -> None:
    """Which server this process comes from, the seed of its hashes, and whether it found a module there."""
    sender.send((os.getppid(), hash("a text"), "colorsys" in sys.modules))


def described(*incarnations: int | None) -> tuple[list[list[int]], list[int]]:
    """What a process of each incarnation says, and the pids of the helpers; None: restarts may come from here on."""
    words = [sys.executable, "-c", PROGRAM, json.dumps(incarnations)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONHASHSEED"}
    done = subprocess.run(words, stdout=subprocess.PIPE, check=True, timeout=120, env=environment)
    answers, pids = json.loads(done.stdout)
    return answers, pids


@pytest.mark.parametrize(
    ("incarnations", "expected"),
    [
        pytest.param((None, 0, 1, 2), [0, 1, 0], id="in turns"),
        pytest.param((None, 0, 1, 0, 1), [0, 1, 0, 1], id="the next run begins with the first"),
        pytest.param((None, 3, 4), [0, 1], id="so does a node that comes later"),
        pytest.param((0, None, 1), [0, 1], id="prepared when the first is at work"),
        pytest.param((0, 1), [0, 0], id="no restart was to come"),
    ],
)
def test_an_incarnation_has_another_fork_server_than_the_one_before_it(
    incarnations: tuple[int | None, ...], expected: list[int]
) -> None:
    """And so a different hash seed; each has imported the same, and each is one of the helpers."""
    answers, pids = described(*incarnations)
    servers = list(dict.fromkeys(server for server, _, _ in answers))
    seeds = list(dict.fromkeys(seed for _, seed, _ in answers))
    assert [servers.index(server) for server, _, _ in answers] == expected
    assert [seeds.index(seed) for _, seed, _ in answers] == expected
    assert [has_module for _, _, has_module in answers] == [True] * len(expected)
    assert set(servers) <= set(pids)
