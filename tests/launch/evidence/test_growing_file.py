import os

from resumable.launch.evidence.growing_file import GrowingFile


def test_only_what_is_new_and_whole_is_read(tmp_path):
    """A torn line comes once its end is there."""
    path = tmp_path / "lines"
    file = GrowingFile(path)
    looks = [file.new_lines()]
    for more in (b"one\ntw", b"", b"o\nthree\n"):
        with path.open("ab") as target:
            target.write(more)
        looks.append(file.new_lines())
    assert looks == [[], [b"one"], [], [b"two", b"three"]]


def test_a_pipe_is_not_waited_for(tmp_path):
    """Nor anything else that is no file."""
    os.mkfifo(tmp_path / "pipe")
    assert GrowingFile(tmp_path / "pipe").new_lines() == []


def test_how_long_nobody_wrote(tmp_path):
    """By the time of the file; a file that is not there says nothing."""
    (tmp_path / "lines").touch()
    os.utime(tmp_path / "lines", (0, 0))
    assert GrowingFile(tmp_path / "lines").silent_s > 1e9
    assert GrowingFile(tmp_path / "nothing").silent_s == 0.0
