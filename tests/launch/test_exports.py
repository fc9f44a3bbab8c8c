from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

from resumable import launch


@pytest.mark.parametrize("name", launch.__all__)
def test_every_public_name_can_be_imported_and_explains_itself(name: str) -> None:
    """Users name the types of what they get."""
    assert inspect.getdoc(getattr(launch, name))
    assert name in dir(launch)


def test_names_that_are_not_public_are_no_attributes() -> None:
    """As of any module."""
    with pytest.raises(AttributeError, match="has no attribute 'NodeFaults'"):
        _ = launch.NodeFaults


def test_importing_the_package_imports_nothing_of_it() -> None:
    """Every rank imports it."""
    program = (
        "import sys, resumable.launch; print(*(name for name in sys.modules if name.startswith('resumable.launch.')))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout.split() == []


def public_members() -> list[tuple[str, str]]:
    """Methods and properties of the exported classes that users call."""
    classes = [getattr(launch, name) for name in ("Fault", "JobResult", "Launcher", "RankResult", "Verdict")]
    return [(kind.__name__, name) for kind in classes for name in vars(kind) if not name.startswith("_")]


@pytest.mark.parametrize(("kind", "name"), public_members())
def test_every_public_member_of_the_python_api_has_a_docstring(kind: str, name: str) -> None:
    """Fields have theirs in the source, where no program can read them."""
    member = inspect.getattr_static(getattr(launch, kind), name)
    is_field = inspect.ismemberdescriptor(member)
    assert is_field or inspect.getdoc(member)
