"""A process that imports what nodes need, and forks them: `python -P -m resumable.launch.node.nursery SOCKET_FD MODULE...`.

Many nodes on one machine have in memory once what each would have to import. There are two such processes, each with a hash
seed of its own: one for nodes, with the fork servers that are forks of them, and one for their second fork servers.
When the socket closes, nobody wants any more.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Sequence
from functools import partial

import msgspec

from resumable.launch.node.__main__ import be_alone, be_fork_server, be_node, import_all
from resumable.launch.node.forked_programs import be_program, forked
from resumable.launch.node.wishes import MAX_BYTES, MAX_DESCRIPTORS, Wish, wished
from resumable.launch.system.descriptors import renumber
from resumable.launch.system.environment import take_tag

_STREAMS = (1, 2)


def main() -> None:
    """Fork what is wished for until the socket closes."""
    import_all(*sys.argv[2:])
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # who is interested in an end holds a descriptor of the process
    with socket.socket(fileno=int(sys.argv[1])) as wishes:
        while True:
            text, descriptors, _, _ = socket.recv_fds(wishes, MAX_BYTES, MAX_DESCRIPTORS)
            if not text:
                return
            answer_end, *own = descriptors
            os.write(answer_end, str(_forked(msgspec.json.decode(text, type=Wish), own)).encode())
            for descriptor in descriptors:
                os.close(descriptor)


def _forked(wish: Wish, descriptors: Sequence[int]) -> int:
    if wish.code:
        return forked(wish.code, wish.numbers, partial(_begin_as_fork_server, wish, descriptors))
    pid = os.fork()
    if pid == 0:
        _begin(wish.tag)
        requests, replies, wishes, *log = descriptors
        for stream in _STREAMS if log else ():
            os.dup2(log[0], stream)
        be_program(partial(_be_node, requests, replies, wishes, wish), (requests, replies, wishes))
    return pid


def _begin(tag: str) -> None:
    """Be as if started under this tag, in a session of its own."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    take_tag(tag)


def _begin_as_fork_server(wish: Wish, descriptors: Sequence[int]) -> None:
    _begin(wish.tag)
    be_fork_server()
    renumber(descriptors, wish.numbers)


def _be_node(requests: int, replies: int, wishes: int, wish: Wish) -> None:
    be_alone()
    with os.fdopen(requests, "rb") as asked, os.fdopen(replies, "wb") as told, socket.socket(fileno=wishes) as more:
        be_node(asked, told, preload=wish.preload, second=partial(_second_server, more, wish.tag))


def _second_server(wishes: socket.socket, tag: str, code: str, descriptors: Sequence[int]) -> int:
    pid = wished(wishes, Wish(tag=tag, code=code, numbers=tuple(descriptors)), descriptors)
    if pid is None:
        raise ConnectionError("no second fork server can be started: the process that they are forks of has ended")
    return pid


if __name__ == "__main__":
    main()
