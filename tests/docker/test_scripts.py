"""The shell scripts of `docker/`, with an engine that only writes down what it is asked for."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.import_graph import ROOT

DOCKER = """\
#!/bin/sh
echo "$1" >> {calls}
case "$1 $2" in
    "image inspect") case "$*" in *resumable.sources*) cat {label} 2> /dev/null ;; esac ;;
    build*) for word; do case $word in resumable.sources=*) echo "${{word#*=}}" > {label} ;; esac; done ;;
esac
"""


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    """What the engine was asked for; it remembers the label of what it has built."""
    for name, text in {
        "docker": DOCKER.format(calls=tmp_path / "calls", label=tmp_path / "label"),
        "python": "#!/bin/sh\necho Python of the image\n",
    }.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    return tmp_path / "calls"


def build_image(folder: Path) -> None:
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "PYTHON": str(folder / "python")}
    subprocess.run([ROOT / "docker/image.sh"], env=environment, check=True, timeout=120)


def test_an_image_of_the_sources_as_they_are_is_not_built_again(calls: Path) -> None:
    """`make simulate` starts within seconds the second time."""
    build_image(calls.parent)
    build_image(calls.parent)
    assert [call for call in calls.read_text().split() if call == "build"] == ["build"]


def test_an_image_of_other_sources_is(calls: Path) -> None:
    """What is simulated is what stands there."""
    build_image(calls.parent)
    (calls.parent / "label").write_text("of yesterday\n")
    build_image(calls.parent)
    assert [call for call in calls.read_text().split() if call == "build"] == ["build"] * 2


def test_what_decides_what_is_in_the_image_decides_whether_it_is_built() -> None:
    """Every file that the Dockerfile copies goes into the label."""
    script = (ROOT / "docker/image.sh").read_text().partition("sha256sum | cut")[0]
    copied = [
        line.split()[1:-1] for line in (ROOT / "docker/Dockerfile").read_text().splitlines() if line.startswith("COPY")
    ]
    names = {name for words in copied for name in words if not name.startswith(("--", "/", "build/"))}
    assert [name for name in sorted(names - {"README.md", "LICENSE"}) if name not in script] == []
