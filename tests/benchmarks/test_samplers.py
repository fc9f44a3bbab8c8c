"""The comparison runs, so that nobody finds it broken when they need it. What it measures is not judged here."""

import json
import subprocess
import sys

from tests.benchmarks.samplers.contenders import CONTENDERS


def test_the_comparison_writes_its_figures_and_says_what_it_skipped(tmp_path):
    """Every contender is either measured or named with the package that it lacks."""
    # In a process of its own: it forks, which a process whose threads are at work must not.
    command = [sys.executable, "-m", "tests.benchmarks.samplers", str(tmp_path), "--max-samples", "1e4"]
    subprocess.run(command, check=True, timeout=240, stdout=subprocess.DEVNULL)
    written = json.loads((tmp_path / "samplers.json").read_text())
    measured = {(measurement["contender"], measurement["unit"]) for measurement in written["measurements"]}
    skipped = {line.partition(":")[0] for line in written["skipped"]}
    assert {contender.name for contender in CONTENDERS} == {name for name, _ in measured} | skipped
    assert "ours, feistel/2" in (tmp_path / "samplers.txt").read_text()
