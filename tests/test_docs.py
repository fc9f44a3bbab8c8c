"""The API reference that `make docs` writes."""

from __future__ import annotations

import re
import subprocess
import sys
from types import ModuleType

import pytest

from resumable import launch, samplers
from tests.import_graph import ROOT

LOADED = re.compile(r"""<(?:script|img|iframe|link)\b[^>]*(?:src|href)=["'](?:https?:)?//|@import|url\(["']?https?:""")
"""What a browser would fetch from elsewhere."""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    pytest.importorskip("pdoc", reason="PAGES NOT WRITTEN: pdoc is not installed")
    folder = tmp_path_factory.mktemp("docs")
    words = [sys.executable, "-W", "error::UserWarning", ".build/docs.py", str(folder)]
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*.html")}


def test_there_is_a_page_for_what_is_public(pages: dict[str, str]) -> None:
    """And one to begin with; nothing of the inside."""
    named = {
        "index",
        "resumable/launch",
        "resumable/launch/api/pytest_plugin",
        "resumable/samplers",
        "resumable/samplers/testing",
    }
    assert {f"{name}.html" for name in named} == pages.keys()


@pytest.mark.parametrize("package", [launch, samplers], ids=["launch", "samplers"])
def test_every_public_name_is_described(package: ModuleType, pages: dict[str, str]) -> None:
    """Each class and function with its own text, not only with its signature."""
    page = pages[f"{package.__name__.replace('.', '/')}.html"]
    sections = re.split(r'<section id="', page)[1:]
    described = {part.partition('"')[0] for part in sections if '<div class="docstring">' in part}
    assert {name for name in package.__all__ if callable(getattr(package, name))} - described == set()


def test_nothing_is_loaded_from_elsewhere(pages: dict[str, str]) -> None:
    """The pages are read without a network, and nobody learns who reads them."""
    assert [name for name, page in pages.items() if LOADED.search(page)] == []
