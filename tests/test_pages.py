"""What the pages name exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.import_graph import ROOT

TOP_LEVEL = ("launch", "samplers", "tests", "docker")
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / ".github").rglob("*.md"),
        *(page for top in TOP_LEVEL for page in (ROOT / top).rglob("*.md")),
    ]
)
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())


@each_page
def test_files_that_a_page_names_exist(page: Path) -> None:
    """A module that is renamed is renamed in the pages too."""
    named = re.findall(rf"`((?:{'|'.join(TOP_LEVEL)}|\.ci|\.src)/[\w./-]*)(?:::\w+)?`", page.read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []


@each_page
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    """To a file, and to a heading in it."""
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()) if "://" not in link]
    assert [link for link in links if not leads_somewhere(page, link)] == []


@each_page
def test_commands_of_a_page_are_targets_of_make(page: Path) -> None:
    """What one copies from it works."""
    named = re.findall(r"(?:`|^    )make ([a-z]+)", page.read_text(), re.MULTILINE)
    assert set() == set(named) - TARGETS


def test_the_targets_that_make_lists_are_those_that_there_are() -> None:
    """`make help` is complete, and a file of the same name is in nobody's way."""
    makefile = (ROOT / "Makefile").read_text()
    phony = set(makefile.partition(".PHONY:")[2].partition("\n")[0].split())
    explained = set(re.findall(r"^([a-z]+):.*## ", makefile, re.MULTILINE))
    assert (phony, explained) == (TARGETS, TARGETS)


def leads_somewhere(page: Path, link: str) -> bool:
    name, _, heading = link.partition("#")
    target = page.parent / name if name else page
    return target.exists() and (not heading or heading in anchors(target))


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
