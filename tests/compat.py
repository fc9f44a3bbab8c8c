"""Runs the core of the suite with other releases of torch: `python -m tests.compat 2.13.0 2.14.1`.

Each has a virtual environment of its own under `build/compat`, which stays for the next time. Where the package index has a
release for GPUs only, it brings several gigabytes of CUDA libraries along; a smaller wheel for the processor is taken where
pip is configured to find one.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
CORE = (
    "tests/test_architecture.py",
    "tests/launch/test_private_names.py",
    "tests/launch/worker",
    "tests/launch/node",
    "tests/samplers/test_parity.py",
    "tests/samplers/test_loading.py",
    "tests/samplers/test_golden.py",
    "tests/samplers/frameworks/test_stateful_loader.py",
    "tests/integration/test_built_in_job.py::test_the_command_verifies_from_a_cold_start",
)
"""Private names, what watches a rank, what runs one, samplers against torch's own, their states, and whole verifies."""


def main(versions: list[str]) -> int:
    """Run the core with each release and print one line about each; 0 if at least one ran and all that ran passed."""
    results = {version: _result(version) for version in versions}
    for version, result in results.items():
        print(f"torch {version}: {result}")
    ran = [result for result in results.values() if result != "not available"]
    return int(not ran or set(ran) != {"passed"})


def _result(version: str) -> str:
    folder = ROOT / "build" / "compat" / version
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    install = [str(python), "-m", "pip", "install", "--quiet"]
    if subprocess.run([*install, f"torch=={version}"], cwd=ROOT, check=False).returncode != 0:
        return "not available"
    subprocess.run([*install, "--editable", ".[test]"], cwd=ROOT, check=True)
    tests = [str(python), "-m", "pytest", "-p", "no:cacheprovider", "-q", "-n", "2", *CORE]
    return "passed" if subprocess.run(tests, cwd=ROOT, check=False).returncode == 0 else "failed"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
