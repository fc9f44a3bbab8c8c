"""The direction of imports: what may know of what."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from resumable import samplers

ROOT = Path(__file__).parents[1]

IMPORTS_TORCH = (
    "launch/worker/",
    "launch/jobs/",
    "launch/node",
    "launch/rendezvous.py",
    "launch/logs.py",
    "launch/ranks.py",
    "launch/hang.py",
)
READS_ENVIRONMENT = ("launch/system/environment.py", "launch/jobs/")
INSIDE_A_RANK = ("launch/worker/", "launch/jobs/", "launch/node")


def sources(package: str) -> list[str]:
    return sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / package).rglob("*.py"))


def tree(source: str) -> ast.Module:
    return ast.parse((ROOT / source).read_text())


def statements_at_import(node: ast.AST) -> Iterator[ast.AST]:
    """All that runs when the module is imported: not the bodies of functions, nor what only a type checker sees."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from statements_at_import(child)


def imported(nodes: Iterator[ast.AST]) -> set[str]:
    """Dotted names of the modules, and of what is taken out of them."""
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def within(names: set[str], package: str) -> set[str]:
    return {name for name in names if f"{name}.".startswith(f"{package}.")}


@pytest.mark.parametrize("source", sources("samplers"))
def test_samplers_never_import_launch(source: str) -> None:
    """The library stands alone."""
    assert set() == within(imported(ast.walk(tree(source))), "resumable.launch")


@pytest.mark.parametrize("source", [name for name in sources("launch") if not name.startswith("launch/jobs/")])
def test_launch_never_imports_samplers(source: str) -> None:
    """The checker shares no code with what it checks."""
    assert set() == within(imported(ast.walk(tree(source))), "resumable.samplers")


@pytest.mark.parametrize("source", [name for name in sources("launch") if not name.startswith(IMPORTS_TORCH)])
def test_only_what_runs_beside_ranks_imports_torch(source: str) -> None:
    """Evidence can be judged without torch."""
    assert set() == within(imported(statements_at_import(tree(source))), "torch")


@pytest.mark.parametrize("source", [name for name in sources("launch") if not name.startswith(INSIDE_A_RANK)])
def test_what_judges_never_imports_what_records(source: str) -> None:
    """The recorder is reached through its evidence alone."""
    assert set() == within(imported(statements_at_import(tree(source))), "resumable.launch.worker")


@pytest.mark.parametrize("source", sources("launch/jobs"))
def test_the_built_in_job_knows_nothing_of_the_launcher(source: str) -> None:
    """It is written as any user would write it."""
    names = imported(ast.walk(tree(source)))
    assert within(names, "resumable.launch") == within(names, "resumable.launch.jobs")


@pytest.mark.parametrize(
    "source", [name for name in sources("launch") + sources("samplers") if not name.startswith(READS_ENVIRONMENT)]
)
def test_the_environment_is_read_in_one_place(source: str) -> None:
    """No other module asks `os` for the environment."""
    asked = {
        node.attr
        for node in ast.walk(tree(source))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os"
    }
    assert set() == asked & {"environ", "environb", "getenv", "putenv"}


def test_the_command_line_starts_without_torch() -> None:
    """`resumable check` answers at once, also where torch is not installed."""
    program = "import sys, resumable.launch.cli.main; sys.exit('torch' in sys.modules)"
    process = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False, timeout=60)
    expected = 0
    assert expected == process.returncode


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("ResumableRandomSampler", ["data_source", "seed", "batch_size"]),
        ("ResumableSequentialSampler", ["data_source", "batch_size"]),
        (
            "ResumableDistributedSampler",
            ["dataset", "num_replicas", "rank", "shuffle", "seed", "drop_last", "batch_size"],
        ),
    ],
)
def test_public_samplers_keep_their_positional_arguments(name: str, parameters: list[str]) -> None:
    """Names and order of the positional arguments are promised; all others are keyword-only."""
    signature = inspect.signature(getattr(samplers, name))
    positional = [key for key, value in signature.parameters.items() if value.kind is value.POSITIONAL_OR_KEYWORD]
    assert parameters == positional


def test_every_exported_name_of_samplers_exists() -> None:
    """`from samplers import *` never fails."""
    assert set() == {name for name in samplers.__all__ if not hasattr(samplers, name)}
