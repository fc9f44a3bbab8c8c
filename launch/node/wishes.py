"""What a nursery is asked for, and how."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence

import msgspec

MAX_BYTES, MAX_DESCRIPTORS = 1 << 16, 8
"""Of one wish."""
_MAX_PID_BYTES = 16


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """A process that is to be forked."""

    tag: str
    """Of the node that it is, or belongs to."""
    preload: tuple[str, ...] = ()
    """Of a node: modules that its fork server imports besides torch."""
    code: str = ""
    """Of a fork server: its program, as Python has it."""
    numbers: tuple[int, ...] = ()
    """Of a fork server: by which its program knows its descriptors."""


def wished(wishes: socket.socket, wish: Wish, descriptors: Sequence[int]) -> int | None:
    """Pid of a process that was forked; None if there is nobody to fork it.

    Args:
        wishes: Several processes may share it.
        wish: What it is to be.
        descriptors: That it needs. Those of a node are the end of a pipe that it reads, one that it writes to, a socket
            for further wishes, and where it prints, if not where the nursery does.
    """
    answers, answer_end = os.pipe()
    with os.fdopen(answers, "rb") as answer:
        try:
            socket.send_fds(wishes, [msgspec.json.encode(wish)], [answer_end, *descriptors])
        except OSError:
            return None
        finally:
            os.close(answer_end)
        pid = answer.read(_MAX_PID_BYTES)
    return int(pid) if pid else None
