"""Writes the reference of all records from their own docstrings: `python -m tests.record_page` renews the page."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator, Sequence

from tests.import_graph import ROOT

PAGE = ROOT / "launch/evidence/README.md"
CHAPTERS = {
    "## What a rank records": "launch/evidence/rank_records.py",
    "## What a node and its supervisor record": "launch/evidence/node_records.py",
    "## What a fingerprint is": "launch/evidence/fingerprints.py",
}
WIDTH = 120


def page() -> str:
    """The page as it should be; what stands above the records is kept."""
    introduction, _, _ = PAGE.read_text().partition(next(iter(CHAPTERS)))
    return introduction + "\n\n".join("\n".join(_chapter(*chapter)) for chapter in CHAPTERS.items()) + "\n"


def _chapter(heading: str, source: str) -> Iterator[str]:
    body = ast.parse((ROOT / source).read_text()).body
    structs = [node for node in body if isinstance(node, ast.ClassDef)]
    yield heading
    for struct in structs:
        yield from _record(struct)
    types = [line for name, value, meaning in _assignments(body) for line in _named_type(name, value, meaning, structs)]
    if types:
        yield from ("", "| type | values | meaning |", "|---|---|---|", *types)


def _record(struct: ast.ClassDef) -> Iterator[str]:
    """A table of its fields. A struct without a tag is a part of others."""
    tags = [keyword.value for keyword in struct.keywords if keyword.arg == "tag"]
    title = f"`{ast.literal_eval(tags[0])}`" if tags else struct.name
    paragraph = " ".join(str(ast.get_docstring(struct)).split())
    yield from ("", f"### {title}", "", textwrap.fill(paragraph, WIDTH), "")
    yield from ("| field | type | meaning |", "|---|---|---|")
    for name, value, meaning in _assignments(struct.body):
        yield f"| `{name}` | `{value}` | {meaning} |"


def _assignments(body: Sequence[ast.stmt]) -> Iterator[tuple[str, str, str]]:
    """Name, type and docstring of each; as they stand in a table."""
    for statement, following in zip(body, [*body[1:], ast.Pass()], strict=True):
        meaning = ""
        if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
            meaning = " ".join(str(following.value.value).split())
        if isinstance(statement, ast.AnnAssign):
            yield ast.unparse(statement.target), _cell(statement.annotation), meaning
        elif isinstance(statement, ast.Assign):
            yield ast.unparse(statement.targets[0]), _cell(statement.value), meaning


def _named_type(name: str, value: str, meaning: str, structs: Sequence[ast.ClassDef]) -> Iterator[str]:
    """A line for a type that a field has."""
    fields = [
        _cell(field.annotation) for struct in structs for field in struct.body if isinstance(field, ast.AnnAssign)
    ]
    if any(name in field.replace("[", " ").replace("]", " ").split() for field in fields):
        yield f"| `{name}` | `{value}` | {meaning} |"


def _cell(node: ast.expr) -> str:
    return ast.unparse(node).replace("|", "\\|").replace("'", '"')


if __name__ == "__main__":
    PAGE.write_text(page())
