"""What a script closes without knowing of it."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
from pathlib import Path

import pytest

from resumable.launch.system.descriptors import open_descriptors, out_of_the_way, put_back, renumber
from resumable.launch.system.standard_streams import whole_again


@pytest.fixture
def descriptor(tmp_path: Path) -> int:
    """Of a file that holds `ours`."""
    (tmp_path / "ours").write_bytes(b"ours")
    return os.open(tmp_path / "ours", os.O_RDONLY)


def test_what_is_out_of_the_way_survives_a_daemons_first_act(descriptor: int) -> None:
    """The limits are what they were, and the number that was given is free."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    high = out_of_the_way(descriptor)
    assert (high >= 1024, descriptor in open_descriptors(), limits) == (
        True,
        False,
        resource.getrlimit(resource.RLIMIT_NOFILE),
    )
    assert (os.read(high, 9), os.get_inheritable(high)) == (b"ours", False)
    os.close(high)


@pytest.mark.parametrize(("error", "is_kept"), [(OSError(errno.EMFILE, "no room"), True), (InterruptedError(), False)])
def test_where_there_is_no_room_it_stays(
    descriptor: int, monkeypatch: pytest.MonkeyPatch, error: OSError, is_kept: bool
) -> None:
    """What the handler of a signal raises meanwhile is not taken for that."""

    def refuse(*_: object) -> int:
        raise error

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    if is_kept:
        assert out_of_the_way(descriptor) == descriptor
    else:
        with pytest.raises(InterruptedError):
            out_of_the_way(descriptor)
    os.close(descriptor)


def test_what_was_closed_and_given_to_another_file_is_put_back(descriptor: int, tmp_path: Path) -> None:
    """And a file of the script's own, under a number that was free, is left alone."""
    with (tmp_path / "own").open("wb") as own:
        with put_back([descriptor]):
            os.dup2(own.fileno(), descriptor)
        assert (os.read(descriptor, 9), own.write(b"x")) == (b"ours", 1)
    os.close(descriptor)


@pytest.mark.parametrize("spoil", ["close", "detach", "flush"])
def test_a_stream_that_was_closed_or_taken_apart_is_whole_again(tmp_path: Path, spoil: str) -> None:
    """Also where nothing was done to it."""
    with (tmp_path / "out").open("wb") as file:
        stream = open(file.fileno(), "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - a descriptor
        with whole_again(stream, file.fileno()):
            getattr(stream, spoil)()
        print("x", file=stream, flush=True)
    assert (tmp_path / "out").read_text() == "x\n"


def test_descriptors_change_their_numbers(descriptor: int, tmp_path: Path) -> None:
    """With each other too; no program inherits them."""
    (tmp_path / "other").write_bytes(b"other")
    other = os.open(tmp_path / "other", os.O_RDONLY)
    renumber([descriptor, other], [other, descriptor])
    assert [(os.read(number, 9), os.get_inheritable(number)) for number in (descriptor, other)] == [
        (b"other", False),
        (b"ours", False),
    ]
