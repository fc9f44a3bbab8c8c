"""The direction of imports: what may know of what."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Iterable

import pytest

from resumable import samplers
from tests.import_graph import ROOT, Module, cycle, modules, within

ORDER = (
    *("system", "plan", "evidence"),
    *("worker", "node", "cluster", "run"),
    *("reading", "explain", "checks", "judge"),
    *("sweep", "report", "doctor", "cli", "api", "jobs"),
)
"""The packages of `launch`: each imports only from those that stand before it, in functions too."""
LEAVES = {"launch/errors.py"}
"""Every package may know them."""
ON_TOP = {"launch/__init__.py", "launch/__main__.py"} | LEAVES
"""What lies in no package: the public names, the command and the leaves."""
RUNS_THE_JOB = {"worker", "node", "cluster", "run"}
JUDGES_IT = {"reading", "explain", "checks", "judge"}
BESIDE_RANKS = {"worker", "node", "jobs"}
"""Their processes have torch anyway."""
IMPORT_TORCH_LATE = {"plan", "cluster", "doctor", "cli"}
"""Some of their functions ask torch; importing them does not."""

LAUNCH, SAMPLERS, TESTS = modules("launch"), modules("samplers"), modules("tests")


def arrows(members: Iterable[Module], targets: Callable[[Module], Iterable[str]]) -> list[str]:
    """Imports that should not be, in a form that says where to look."""
    return [f"{module.source} -> {target}" for module in members for target in sorted(targets(module))]


def of_package(*names: str) -> list[Module]:
    return [module for module in LAUNCH if module.package in names]


def outside(*names: str) -> list[Module]:
    return [module for module in LAUNCH if module.package not in names]


def test_every_module_lies_in_a_package() -> None:
    """Nothing lies flat in `launch`, and no package is without a place in the order."""
    expected = set(ON_TOP)
    assert expected == {module.source for module in outside(*ORDER)}


def test_no_import_points_to_the_right() -> None:
    """Packages have a total order."""
    right_of = {package: set(ORDER[place + 1 :]) for place, package in enumerate(ORDER)}
    assert not arrows(of_package(*ORDER), lambda module: module.packages_imported & right_of[str(module.package)])


def test_what_every_package_may_know_knows_none() -> None:
    """Leaves stay leaves."""
    assert not arrows((m for m in LAUNCH if m.source in LEAVES), lambda module: module.packages_imported)


@pytest.mark.parametrize("package", [LAUNCH, SAMPLERS], ids=["launch", "samplers"])
def test_no_module_imports_itself_through_others(package: tuple[Module, ...]) -> None:
    """Any module can be imported first."""
    assert set() == cycle(package)


@pytest.mark.parametrize(("wing", "other"), [(RUNS_THE_JOB, JUDGES_IT), (JUDGES_IT, RUNS_THE_JOB)])
def test_the_wings_never_look_at_each_other(wing: set[str], other: set[str]) -> None:
    """What runs a job and what judges it share the plan and the evidence, and nothing else."""
    assert not arrows(of_package(*wing), lambda module: module.packages_imported & other)


def test_only_a_node_knows_what_runs_inside_a_rank() -> None:
    """The recorder is reached through its evidence alone."""
    assert not arrows(outside("worker", "node"), lambda module: module.packages_imported & {"worker"})


def test_what_judges_starts_without_torch() -> None:
    """Evidence can be judged without torch, and a command does not wait for it: outside of ranks and nodes only functions
    import it, and only where torch itself is asked."""
    assert not arrows(outside(*BESIDE_RANKS), lambda module: within(module.at_import, "torch"))
    assert not arrows(outside(*BESIDE_RANKS, *IMPORT_TORCH_LATE), lambda module: within(module.anywhere, "torch"))


def test_only_the_command_line_knows_argparse() -> None:
    """Everything else takes typed options."""
    knowing = {module.source for module in outside("cli", "jobs") if within(module.anywhere, "argparse")}
    assert set() == knowing


def test_samplers_never_import_launch() -> None:
    """The library stands alone."""
    assert not arrows(SAMPLERS, lambda module: within(module.anywhere, "resumable.launch"))


def test_launch_never_imports_samplers() -> None:
    """The checker shares no code with what it checks."""
    assert not arrows(outside("jobs"), lambda module: within(module.anywhere, "resumable.samplers"))


def test_the_built_in_job_knows_nothing_of_the_launcher() -> None:
    """It is written as any user would write it."""
    assert not arrows(of_package("jobs"), lambda module: module.packages_imported)


@pytest.mark.parametrize("name", ["launch", "samplers"])
def test_nothing_has_a_name_that_a_users_repository_may_have(name: str) -> None:
    """The top-level names `launch` and `samplers` are the user's."""
    assert not arrows(LAUNCH + SAMPLERS + TESTS, lambda module: within(module.anywhere, name))


def test_imports_are_absolute() -> None:
    """A module is found by the name under which it is imported."""
    assert not arrows(LAUNCH + SAMPLERS + TESTS, lambda module: module.relative)


def test_the_environment_is_read_in_one_place() -> None:
    """No other module asks `os` for the environment; the built-in job does, as any user's would."""
    asking = {f"os.{name}" for name in ("environ", "environb", "getenv", "getenvb", "putenv")}
    others = [module for module in outside("jobs") if module.source != "launch/system/environment.py"]
    assert not arrows([*others, *SAMPLERS], lambda module: (module.attributes | module.anywhere) & asking)


def test_tests_mirror_the_packages() -> None:
    """Whoever knows where something stands knows where its tests are."""
    folders = {path.name for path in (ROOT / "tests/launch").iterdir() if (path / "__init__.py").exists()}
    assert set() == folders - set(ORDER)


@pytest.mark.parametrize("package", ["launch/reading", "launch/explain"])
def test_the_map_of_a_package_has_each_of_its_modules(package: str) -> None:
    """Where it has many, its own docstring says what is where."""
    init = ROOT / package / "__init__.py"
    expected = {path.stem for path in init.parent.iterdir() if path.stem not in ("__init__", "__pycache__")}
    assert expected == set(re.findall(r"^    (\w+)  ", init.read_text(), re.MULTILINE))


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
        ("ResumableElasticSampler", ["dataset", "num_replicas", "rank", "start_index"]),
    ],
)
def test_public_samplers_keep_their_positional_arguments(name: str, parameters: list[str]) -> None:
    """Names and order of the positional arguments are promised; all others are keyword-only."""
    signature = inspect.signature(getattr(samplers, name))
    positional = [key for key, value in signature.parameters.items() if value.kind is value.POSITIONAL_OR_KEYWORD]
    assert parameters == positional


def test_every_exported_name_of_samplers_exists() -> None:
    """`from resumable.samplers import *` never fails."""
    assert set() == {name for name in samplers.__all__ if not hasattr(samplers, name)}
