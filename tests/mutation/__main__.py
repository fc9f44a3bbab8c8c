"""Changes the code that judges bit by bit, and lists the changes that no test notices: `make mutation MODULE=…`.

What survives is a missing test, code that is not needed, or a change without effect: that is for a person to say.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import pytest

from tests.mutation.campaign import Campaign

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / ".src" / "resumable"
"""As the tests import them."""
TESTS = (
    *(f"tests/launch/{name}" for name in ("checks", "judge", "reading", "explain")),
    "tests/launch/test_corpus.py",
    "--ignore=tests/launch/judge/test_hostile.py",  # these two ask whether anything breaks, hundreds of times each
    "--ignore=tests/launch/judge/test_no_check_breaks.py",
)
OPTIONS = ("-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--timeout", "0", "-m", "not slow and not integration")


def main() -> None:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("modules", nargs="+", type=Path, metavar="MODULE")
    parser.add_argument("--every", type=int, default=1, help="try one of so many mutants (1)")
    parser.add_argument("--budget", type=float, default=5.0, help="seconds of tests a mutant (5)")
    parser.add_argument(
        "--tests", nargs="+", default=TESTS, metavar="FILE", help="tests to try them on (all that judge)"
    )
    given = parser.parse_args()
    paths = [SOURCES / path.resolve().relative_to(ROOT) for path in given.modules]
    campaign = Campaign(paths=paths, every=given.every, budget_s=given.budget)
    os.chdir(ROOT)
    pytest.main([*OPTIONS, *given.tests], plugins=[campaign])
    for (name, result), number in sorted(campaign.counts.items()):
        print(f"{name}: {number} {result}")


if __name__ == "__main__":
    main()
