"""What the guide shows is true."""

import re
from pathlib import Path

import pytest

from resumable import samplers

README = Path(samplers.__file__).with_name("README.md").read_text()
SNIPPETS = re.findall(r"^```python\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)

pytestmark = [
    # torchdata itself calls what this torch has deprecated; one process saves without a group.
    pytest.mark.filterwarnings("ignore:'set_vital' is deprecated"),
    pytest.mark.filterwarnings("ignore:torch.distributed is"),
    # It says what the caller wanted.
    pytest.mark.filterwarnings("ignore:the stream is amended"),
    # Lightning too, and it has advice for small jobs.
    pytest.mark.filterwarnings("ignore:.*LeafSpec"),
    pytest.mark.filterwarnings("ignore:::lightning"),
    pytest.mark.filterwarnings("ignore:::transformers"),
]


@pytest.mark.parametrize("number", range(len(SNIPPETS)))
def test_a_snippet_of_the_guide_runs_as_it_stands(number, tmp_path, monkeypatch):
    """Each stands alone, and its assertions hold."""
    for imported in re.findall(r"^(?:import|from) (\w+)", SNIPPETS[number], re.MULTILINE):
        pytest.importorskip(imported, reason=f"SNIPPET NOT TESTED: {imported} is not installed")
    monkeypatch.chdir(tmp_path)
    exec(compile(SNIPPETS[number], f"README snippet {number}", "exec"), {"__name__": "__main__"})


def test_the_guides_links_lead_somewhere():
    """To a heading in it, as GitHub makes anchors of them."""
    headings = re.findall(r"^## (.*)$", README, flags=re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#(.*?)\)", README)) <= anchors


def test_the_guide_names_everything_that_is_public():
    """What is exported is told, errors and plain data aside."""
    told = set(re.findall(r"\w+", README))
    kinds = ("Resumable", "Seeded")
    assert {name for name in samplers.__all__ if name.startswith(kinds)} - told == UNTOLD


UNTOLD = {"ResumableSampler", "ResumableSamplerType"}
