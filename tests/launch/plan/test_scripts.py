from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from resumable.launch.errors import ScriptNotFoundError
from resumable.launch.plan.scripts import refuse_missing_data, script_file


def test_the_built_in_job_names_the_package_that_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of a traceback from a rank."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ScriptNotFoundError, match=r"pip install scikit-learn"):
        refuse_missing_data()


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("my train.ipynb", "is a notebook; make a script of it: jupyter nbconvert --to script 'my train.ipynb'"),
        ("sub/trian.py", "does not exist\ndid you mean: sub/train.py"),
        ("sub", "is a folder without __main__.py"),
    ],
)
def test_what_is_no_script_is_refused_with_what_to_type(
    word: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A notebook is JSON, some of which Python even runs."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/train.py").touch()
    (tmp_path / "my train.ipynb").write_text("{}")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ScriptNotFoundError) as refused:
        script_file(word, ())
    assert str(refused.value) == f"script {word!r} {said}"
