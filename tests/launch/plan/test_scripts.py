from __future__ import annotations

import importlib.util

import pytest

from resumable.launch.errors import ScriptNotFoundError
from resumable.launch.plan.scripts import refuse_missing_data


def test_the_built_in_job_names_the_package_that_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of a traceback from a rank."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ScriptNotFoundError, match=r"pip install scikit-learn"):
        refuse_missing_data()
