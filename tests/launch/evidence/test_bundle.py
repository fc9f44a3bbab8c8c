"""A run as one file: what is in it, what is not, and what a stranger may not do with one."""

from __future__ import annotations

import os
import stat
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pytest

from resumable.launch.errors import EvidenceError, LaunchError
from resumable.launch.evidence import bundle as bundles
from resumable.launch.evidence.bundle import FOLDER, MAX_LOG_BYTES, opened
from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.judge.verdict import judge
from tests.launch.report import samples


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDir:
    (tmp_path / "run").mkdir()
    return samples.stored(samples.invalid(), tmp_path / "run")


def bundle(run_dir: RunDir) -> bytes:
    target = BytesIO()
    bundles.bundle(run_dir, target, {})
    return target.getvalue()


@pytest.fixture
def file(tmp_path: Path, run_dir: RunDir) -> Path:
    """Of a run, well made."""
    path = tmp_path / "run.zip"
    path.write_bytes(bundle(run_dir))
    return path


def names_in(path: Path) -> set[str]:
    with zipfile.ZipFile(path) as archive:
        return set(archive.namelist())


def test_what_comes_out_is_judged_as_what_went_in(run_dir, file):
    """Byte for byte the same evidence."""
    before = judge(run_dir.read_plan(), run_dir)
    with opened(file) as unpacked:
        assert before == judge(unpacked.read_plan(), unpacked)
        own = {
            path.relative_to(unpacked.root): path.read_bytes() for path in unpacked.root.rglob("*") if path.is_file()
        }
        root = unpacked.root
    assert {name: (run_dir.root / name).read_bytes() for name in own} == own
    assert (file, False) == (unpacked.name, root.exists())


def test_a_folder_is_opened_as_it_is(run_dir):
    """Nothing is unpacked, and nothing removed."""
    with opened(run_dir.root) as same:
        assert run_dir == same
    assert run_dir.plan_file.exists()


def test_equal_evidence_makes_equal_bundles(run_dir, file):
    """Whenever it is made."""
    os.utime(run_dir.plan_file, (0, 0))
    assert file.read_bytes() == bundle(run_dir)


def checkpoint(root: Path) -> None:
    (root / "faulted/work/last.pt").write_bytes(b"weights")


def pickled(root: Path) -> None:
    (root / "faulted/call.pkl").write_bytes(b"code")


def link(root: Path) -> None:
    (root.parent / "secret").write_text("secret")
    (root / "faulted/logs/i000/rank0.out").symlink_to(root.parent / "secret")


def link_to_folder(root: Path) -> None:
    (root.parent / "secrets").mkdir()
    (root.parent / "secrets/rank0.out").write_text("secret")
    (root / "faulted/logs/i009").symlink_to(root.parent / "secrets")


def pipe(root: Path) -> None:
    os.mkfifo(root / "faulted/logs/i000/rank0.out")


def draft(root: Path) -> None:
    (root / ".verdict.json-0").write_text("{")


def odd_name(root: Path) -> None:
    (root / "faulted/logs/i000/rank0\udcff.out").write_text("x")


@pytest.mark.parametrize("add", [checkpoint, pickled, link, link_to_folder, pipe, draft, odd_name])
def test_what_is_no_evidence_stays_at_home(tmp_path, run_dir, file, add):
    """Checkpoints, code, what lies elsewhere, and what would be waited for."""
    add(run_dir.root)
    again = tmp_path / "again.zip"
    again.write_bytes(bundle(run_dir))
    assert names_in(file) == names_in(again)


def test_of_a_long_log_the_end_is_kept(tmp_path, run_dir):
    """A job that prints a lot can be sent too."""
    log = run_dir.scenario("faulted").incarnation_logs(0) / "rank0.err"
    log.write_bytes(b"a" * MAX_LOG_BYTES + b"end")
    path = tmp_path / "run.zip"
    path.write_bytes(bundle(run_dir))
    with opened(path) as unpacked:
        found = (unpacked.scenario("faulted").incarnation_logs(0) / "rank0.err").read_bytes()
    assert (len(found), found[-4:]) == (MAX_LOG_BYTES, b"aend")


def test_too_much_evidence_is_not_bundled(run_dir):
    """It says how much would do."""
    with pytest.raises(LaunchError, match="too much to bundle"):
        bundles.bundle(run_dir, BytesIO(), {}, max_total_bytes=1000)


@pytest.fixture
def peak_bytes() -> Iterator[Callable[[], int]]:
    """Most memory of Python's that was in use since the test began, and is not any more: of a file, a piece."""
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()


def test_a_long_file_is_packed_and_unpacked_in_pieces(
    tmp_path: Path, run_dir: RunDir, peak_bytes: Callable[[], int]
) -> None:
    """A hole in a file costs whoever sends it nothing."""
    size_bytes = 1 << 26
    with (run_dir.root / "hole").open("wb") as hole:
        hole.truncate(size_bytes)
    with (tmp_path / "run.zip").open("wb") as target:
        bundles.bundle(run_dir, target, {})
    with opened(tmp_path / "run.zip") as unpacked:
        assert (unpacked.root / "hole").stat().st_size == size_bytes
    assert peak_bytes() < size_bytes // 8


def entry(name: str, mode: int = stat.S_IFREG | 0o644) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


HOSTILE_NAMES = [
    "../outside",
    f"{FOLDER}/../outside",
    f"{FOLDER}/a/../../../outside",
    "/tmp/outside",
    f"{FOLDER}/..",
    f"{FOLDER}",
    ".",
    "elsewhere/plan.json",
    f"{FOLDER}/a\\..\\..\\outside",
    "C:\\outside",
    f"{FOLDER}/\x1b]0;x",
    f"{FOLDER}/\u202etxt",
    f"{FOLDER}/" + "deep/" * 50 + "x",
    f"{FOLDER}/" + "x" * 5000,
    f"{FOLDER}/folder/",
    f"{FOLDER}/plan.json",  # a second time
    f"{FOLDER}/plan.json/x",  # below a file
]


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_no_path_of_a_bundle_leaves_its_folder(tmp_path, file, name):
    """It is refused as a whole, and nothing is left of it."""
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(entry(name), b"x")
    assert_refused(tmp_path, file)


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_other_compressions_are_refused(tmp_path, file, method):
    """Whoever decodes less has less to be attacked in."""
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(entry(f"{FOLDER}/x"), b"x", method)
    assert_refused(tmp_path, file)


def assert_refused(tmp_path: Path, file: Path) -> None:
    before = set(tmp_path.rglob("*"))
    with pytest.raises(EvidenceError, match="neither a run directory nor a bundle"), opened(file):
        pass
    assert before == set(tmp_path.rglob("*"))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK, stat.S_IFDIR])
def test_what_is_no_file_is_refused(tmp_path, file, kind):
    """A link could lead anywhere, and later entries through it."""
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(entry(f"{FOLDER}/odd", kind | 0o777), b"/etc")
    assert_refused(tmp_path, file)


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flipped(data: bytes) -> bytes:
    """A byte of the first file is another, which its checksum shows."""
    return data[:100] + bytes([data[100] ^ 0xFF]) + data[101:]


def no_zip(_data: bytes) -> bytes:
    return b'{"version": 1}'


def encrypted(data: bytes) -> bytes:
    """Every entry says that it has a password."""
    return data.replace(b"PK\x03\x04\x2d\x00\x00", b"PK\x03\x04\x2d\x00\x01").replace(
        b"PK\x01\x02\x2d\x03\x2d\x00\x00", b"PK\x01\x02\x2d\x03\x2d\x00\x01"
    )


@pytest.mark.parametrize("spoil", [cut, flipped, no_zip, encrypted])
def test_a_damaged_bundle_is_refused(tmp_path: Path, file: Path, spoil: Callable[[bytes], bytes]) -> None:
    """With one sentence, not a traceback."""
    file.write_bytes(spoil(file.read_bytes()))
    assert_refused(tmp_path, file)


def test_a_bundle_that_unpacks_to_too_much_is_refused(tmp_path, file):
    """Whatever its entries say of their size."""
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{FOLDER}/zeros", b"\0" * (1 << 24))
    with pytest.raises(EvidenceError, match="longer than there is room for"), opened(file, max_total_bytes=1 << 20):
        pass
    assert set() == {path for path in tmp_path.iterdir() if path.name.startswith("resumable")}
