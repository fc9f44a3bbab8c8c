"""What is installed: both packages under `resumable`, and nothing under a name that a user's repository may have."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COPIED = [
    Path(name)
    for names in re.findall(r"^COPY (.+) /opt/resumable/", (ROOT / "docker/Dockerfile").read_text(), re.M)
    for name in names.split()
]
"""What the image is built from, and so all that a build may need."""
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.egg-info")
BUILD_SDIST = "import sys; sys.path.insert(0, '.build'); import backend; print(backend.build_sdist('dist'))"
START = "import resumable.launch; print(resumable.launch.__file__); from resumable.launch.cli.main import main; main()"


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The copied files alone: what an earlier build has left in the repository is in no wheel."""
    folder = tmp_path_factory.mktemp("sources")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=LEFT_OUT)
        else:
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def wheel(sources: Path) -> Path:
    """Built as `pip install .` does."""
    return built_wheel(sources)


def built_wheel(sources: Path) -> Path:
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir=dist")
    run("-m", "pip", "wheel", *options, ".", folder=sources)
    (file,) = (sources / "dist").glob("*.whl")
    return file


def run(*arguments: str, folder: Path, path: str = "") -> str:
    """Python's output; by itself it imports nothing of this repository."""
    environment = {**os.environ, "PYTHONPATH": path}
    ended = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def installed(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name and not name.endswith("/")}


def test_nothing_is_installed_beside_one_package(wheel: Path) -> None:
    """`launch` and `samplers` stay free for the user."""
    expected = {"resumable", "zz_resumable.pth"}
    assert expected == {name.split("/")[0] for name in installed(wheel)}


def test_everything_in_both_folders_is_installed(wheel: Path, sources: Path) -> None:
    """Templates, schema and type marks too; the pages about the launcher are read in the repository."""
    files = {
        path.relative_to(sources).as_posix()
        for name in ("launch", "samplers")
        for path in (sources / name).rglob("*")
        if path.is_file()
    }
    pages = {name for name in files if name.startswith("launch/") and name.endswith(("README.md", ".png"))}
    expected = {"resumable/__init__.py", "zz_resumable.pth"} | {f"resumable/{name}" for name in files - pages}
    assert expected == installed(wheel)


def test_a_source_archive_gives_the_same_package(sources: Path, wheel: Path, tmp_path: Path) -> None:
    """The archive holds files where the repository has links."""
    name = run("-c", BUILD_SDIST, folder=sources).split()[-1]
    with tarfile.open(sources / "dist" / name) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.iterdir()
    assert installed(wheel) == installed(built_wheel(unpacked))


def test_the_installed_command_starts(wheel: Path, tmp_path: Path) -> None:
    """It finds what it needs in the wheel alone."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    printed = run("-P", "-c", START, "--help", folder=tmp_path, path=str(tmp_path / "site"))
    assert printed.startswith(f"{tmp_path}/site/resumable/launch/__init__.py\nusage: resumable ")


@pytest.mark.parametrize("name", [path.as_posix() for path in COPIED])
def test_the_image_is_built_from_what_its_context_holds(name: str) -> None:
    """What the Dockerfile copies is not kept out by .dockerignore."""
    assert f"!{name}" in (ROOT / ".dockerignore").read_text().split()


def test_the_image_holds_every_requirement() -> None:
    """A dependency that the image lacks shows only when a container starts."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    required = [*project["dependencies"], *project["optional-dependencies"]["job"]]
    pinned = set(re.findall(r"^([\w-]+)==", (ROOT / "docker/requirements.txt").read_text(), re.M))
    expected: set[str] = set()
    assert expected == {re.split(r"[<>=~!\[]", name)[0].strip() for name in required} - pinned
