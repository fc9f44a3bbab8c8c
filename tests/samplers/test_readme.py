"""What the guide shows is true."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

import samplers

README = Path(samplers.__file__).with_name("README.md").read_text()
SNIPPETS = re.findall(r"^```python\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)

pytestmark = [
    # torchdata itself calls what this torch has deprecated; one process saves without a group.
    pytest.mark.filterwarnings("ignore:'set_vital' is deprecated"),
    pytest.mark.filterwarnings("ignore:torch.distributed is"),
    # Lightning too, and it has advice for small jobs.
    pytest.mark.filterwarnings("ignore:.*LeafSpec"),
    pytest.mark.filterwarnings("ignore:::lightning"),
]


def missing(snippet):
    """Packages that a snippet needs and that are not here; to look for them does not import them."""
    needed = re.findall(r"^(?:from|import) (\w+)", snippet, flags=re.MULTILINE)
    return [package for package in needed if find_spec(package) is None]


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(number, marks=pytest.mark.skipif(bool(missing(snippet)), reason=f"needs {missing(snippet)}"))
        for number, snippet in enumerate(SNIPPETS)
    ],
)
def test_a_snippet_of_the_guide_runs_as_it_stands(number, tmp_path, monkeypatch):
    """Each stands alone, and its assertions hold."""
    monkeypatch.chdir(tmp_path)
    exec(compile(SNIPPETS[number], f"README snippet {number}", "exec"), {"__name__": "__main__"})


def test_the_guide_names_everything_that_is_public():
    """What is exported is told, errors and plain data aside."""
    told = set(re.findall(r"\w+", README))
    kinds = ("Resumable", "Seeded")
    assert {name for name in samplers.__all__ if name.startswith(kinds)} - told == UNTOLD


UNTOLD = {"ResumableSampler", "ResumableSamplerType"}
