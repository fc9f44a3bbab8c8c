from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec
import pytest

from resumable.launch.cluster.channel import Channel
from resumable.launch.errors import NodeError
from resumable.launch.evidence.node_records import NodeEnded, encode_node_line
from resumable.launch.node.protocol import NodeRequest

ENDED = NodeEnded(node=3, outcome="succeeded", time_ns=1)
REQUEST = NodeRequest(
    run_dir="run",
    scenario="faulted",
    working_directory="work",
    node=3,
    run_id="1",
    incarnation_counter="1",
    endpoint="127.0.0.1:1",
    rdzv_configs={},
    local_addr=None,
    nproc_per_node=1,
    max_restarts=0,
)


@dataclass(frozen=True)
class Node:
    """A channel, and the other end of its pipe."""

    channel: Channel
    say: Callable[[bytes], object]
    hang_up: Callable[[], object]


@pytest.fixture
def node(tmp_path) -> Iterator[Node]:
    """Number 3; what it is asked goes to the file `asked`."""
    replies, reply_end = os.pipe()
    pipe = os.fdopen(reply_end, "wb", buffering=0)
    with (tmp_path / "asked").open("wb") as asked, (tmp_path / "log").open("wb", buffering=0) as log:
        log.write(b"Traceback:\nModuleNotFoundError: torch\n")
        process = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=asked)
        channel = Channel(3, process, requests=process.stdin, replies=replies, log=log)
    yield Node(channel=channel, say=pipe.write, hang_up=pipe.close)
    channel.close()
    pipe.close()


def test_an_answer_is_taken_once(node: Node) -> None:
    """A second look finds nothing."""
    node.say(b"\n" + encode_node_line(ENDED))
    assert [node.channel.answer(), node.channel.answer()] == [ENDED, None]


def test_an_answer_is_taken_when_it_is_whole(node: Node) -> None:
    """Half a line is none."""
    line = encode_node_line(ENDED)
    node.say(b"\n" + line[:10])
    assert node.channel.answer() is None
    node.say(line[10:])
    assert node.channel.answer() == ENDED


def test_two_answers_at_once_are_two(node: Node) -> None:
    """The second one waits its turn."""
    node.say(b"\n" + encode_node_line(ENDED) * 2)
    assert [node.channel.answer() for _ in range(3)] == [ENDED, ENDED, None]


def test_a_node_is_warm_at_its_first_line(node: Node) -> None:
    """That line is no answer."""
    node.say(b"\n")
    node.channel.wait_until_warm()
    assert node.channel.answer() is None


def test_an_answer_that_comes_with_the_first_line_is_kept(node: Node) -> None:
    """Waiting for the one does not lose the other."""
    node.say(b"\n" + encode_node_line(ENDED))
    node.channel.wait_until_warm()
    assert node.channel.answer() == ENDED


@pytest.mark.parametrize("ask", [Channel.answer, Channel.wait_until_warm])
def test_a_node_that_ends_by_itself_is_an_error(node: Node, ask: Callable[[Channel], object]) -> None:
    """It is named, with its exit code and the end of its log."""
    node.channel._process.send_signal(signal.SIGTERM)
    node.hang_up()
    said = r"node 3: .* without an answer \(exit code -15\)\nthe end of .*/log:\n.*\n +ModuleNotFoundError: torch$"
    with pytest.raises(NodeError, match=said):
        ask(node.channel)


def test_a_request_is_one_line(node: Node, tmp_path) -> None:
    """The node reads what was asked."""
    node.channel.request(REQUEST)
    node.channel._requests.close()
    node.channel._process.wait()
    line, end = (tmp_path / "asked").read_bytes().split(b"\n")
    assert (msgspec.json.decode(line, type=NodeRequest), end) == (REQUEST, b"")


def test_nothing_is_asked_of_a_closed_channel(node: Node) -> None:
    """The message says what to do; closing again does nothing."""
    node.channel.close()
    node.channel.close()
    with pytest.raises(NodeError, match="node 3 is lost: replace it first"):
        node.channel.request(REQUEST)
