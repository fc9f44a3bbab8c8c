"""Private names of other projects: each is listed in one module of a package, stands nowhere else, and still exists."""

from __future__ import annotations

import ast
import inspect
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from resumable.launch.cli import argparse_private as of_parsers
from resumable.launch.node import torch_private as of_nodes
from resumable.launch.worker import torch_private as of_ranks

ROOT = Path(__file__).parents[2]
MODULES = (of_nodes, of_parsers, of_ranks)
LISTED = [(owner, name) for module in MODULES for owner, names in module.PRIVATE_NAMES.items() for name in names]
PUBLIC_NAMES_WITH_UNDERSCORE = {"_exit", "_value_"}


def sets_attribute(owner: Any, name: str) -> bool:
    """Whether a method of the class, or of one that it derives from, sets the attribute of its instance."""
    kinds = [kind for kind in inspect.getmro(owner) if kind.__module__ != "builtins"] if inspect.isclass(owner) else []
    return any(f"self.{name}" in inspect.getsource(kind) for kind in kinds)


@pytest.mark.slow  # it imports every framework
@pytest.mark.parametrize(("owner", "name"), LISTED)
def test_the_installed_versions_have_every_private_name(owner: str, name: str) -> None:
    """One that is missing has to be replaced in the module that lists it, and only there."""
    package = owner.partition(":")[0].partition(".")[0]
    pytest.importorskip(package, reason=f"{owner} NOT LOOKED AT: {package} is not installed")
    found = pkgutil.resolve_name(owner)
    assert hasattr(found, name) or sets_attribute(found, name), f"{owner} has no {name} any more"


def used(tree: ast.AST) -> Iterator[str]:
    """Names with an underscore that are taken from something other than the object or the class itself."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls")):
                continue
            case ast.Attribute(attr=name) | ast.alias(name=name):
                yield from [part for part in name.split(".") if part.startswith("_") and not part.startswith("__")]
            case ast.Constant(value=str(text)) if any(text == name for _, name in LISTED):
                yield from [text] if text.startswith("_") else []


def given(tree: ast.AST) -> Iterator[str]:
    """Names with an underscore that the classes of a module have themselves."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                yield name
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name


SOURCES = sorted(
    path.relative_to(ROOT).as_posix() for top in ("launch", "samplers") for path in (ROOT / top).rglob("*.py")
)


@pytest.mark.parametrize("source", [one for one in SOURCES if not one.endswith(("_private.py", "/private_names.py"))])
def test_a_private_name_stands_nowhere_else(source: str) -> None:
    """Neither as an attribute nor as the text that `getattr` takes."""
    tree = ast.parse((ROOT / source).read_text())
    assert set(used(tree)) - set(given(tree)) <= PUBLIC_NAMES_WITH_UNDERSCORE


@pytest.mark.parametrize("module", MODULES)
def test_every_private_name_that_is_used_is_listed(module: Any) -> None:
    """And none is listed that is not used."""
    file = module.__file__
    tree = ast.parse(Path(file).read_text())
    without_list = [node for node in tree.body if "PRIVATE_NAMES" not in ast.dump(node)]
    in_use = set(used(ast.Module(without_list, []))) - PUBLIC_NAMES_WITH_UNDERSCORE
    listed = {name for names in module.PRIVATE_NAMES.values() for name in names if name.startswith("_")}
    assert in_use == listed


def test_a_missing_name_is_seen() -> None:
    """The look for it finds what is there and not what is not."""
    parser = pkgutil.resolve_name("argparse:ArgumentParser")
    assert [sets_attribute(parser, name) for name in ("_actions", "_deeds")] == [True, False]
    assert not hasattr(sys, "_getnoframe")
