"""What each module of the project imports, read from its source."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, kw_only=True)
class Module:
    """One source file."""

    source: str
    """Relative to the repository."""
    at_import: frozenset[str]
    """Dotted names of what is imported as soon as the module is; with what is taken out of it, `os.environ` for example."""
    anywhere: frozenset[str]
    """The same with what functions import later, and what only a type checker sees."""
    relative: frozenset[str]
    """What is imported by a relative name."""
    attributes: frozenset[str]
    """What is read of a name: `os.environ` where it is written so."""

    @property
    def name(self) -> str:
        """As it is imported."""
        parts = Path(self.source).with_suffix("").parts
        return ".".join(["resumable", *parts]).removesuffix(".__init__")

    @property
    def package(self) -> str | None:
        """The package inside `launch` in which it lies; None for what lies in no package."""
        parts = Path(self.source).parts
        return parts[1] if parts[0] == "launch" and len(parts) > 2 else None

    @property
    def packages_imported(self) -> set[str]:
        """The packages of `launch` that it knows, its own excepted."""
        inside = [name.split(".")[2:] for name in within(self.anywhere, "resumable.launch")]
        return {rest[0] for rest in inside if rest} - {self.package}


def within(names: Iterable[str], package: str) -> set[str]:
    """Those names that are the package or lie in it."""
    return {name for name in names if f"{name}.".startswith(f"{package}.")}


@cache
def modules(folder: str) -> tuple[Module, ...]:
    """All of a top-level folder, sorted."""
    return tuple(_read(path) for path in sorted((ROOT / folder).rglob("*.py")))


def cycle(members: Iterable[Module]) -> set[str]:
    """Modules that are part of a circle of imports, or lie between two; empty where a total order exists."""
    known = {module.name for module in members}
    waiting = {module.name: {_owner(name, known) for name in module.at_import} - {module.name} for module in members}
    while free := {name for name, needs in waiting.items() if not needs & waiting.keys()}:
        waiting = {name: needs for name, needs in waiting.items() if name not in free}
    return set(waiting)


def _owner(name: str, known: set[str]) -> str:
    """The module that a dotted name stands for: itself, or the one from which it is taken."""
    return name if name in known else name.rpartition(".")[0]


def _read(path: Path) -> Module:
    tree = ast.parse(path.read_text())
    nodes = list(ast.walk(tree))
    return Module(
        source=path.relative_to(ROOT).as_posix(),
        at_import=frozenset(_imported(_at_import(tree))),
        anywhere=frozenset(_imported(nodes)),
        relative=frozenset(ast.unparse(node) for node in nodes if isinstance(node, ast.ImportFrom) and node.level),
        attributes=frozenset(ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute)),
    )


def _at_import(node: ast.AST) -> Iterator[ast.AST]:
    """All that runs when the module is imported: not the bodies of functions, nor what only a type checker sees."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from _at_import(child)


def _imported(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
