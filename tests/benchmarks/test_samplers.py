"""The comparison runs, so that nobody finds it broken when they need it. What it measures is not judged here."""

import json

import pytest

from tests.benchmarks.samplers.__main__ import main
from tests.benchmarks.samplers.contenders import CONTENDERS


@pytest.mark.timeout(120)
@pytest.mark.filterwarnings("ignore:'set_vital' is deprecated")
def test_the_comparison_writes_its_figures_and_says_what_it_skipped(tmp_path, monkeypatch):
    """Every contender is either measured or named with the package that it lacks."""
    monkeypatch.setattr("sys.argv", ["benchmark", str(tmp_path), "--max-samples", "1e5"])
    main()
    written = json.loads((tmp_path / "samplers.json").read_text())
    measured = {(measurement["contender"], measurement["unit"]) for measurement in written["measurements"]}
    skipped = {line.partition(":")[0] for line in written["skipped"]}
    assert {contender.name for contender in CONTENDERS} == {name for name, _ in measured} | skipped
    assert "ours, feistel/1" in (tmp_path / "samplers.txt").read_text()
