"""Training functions that Ray calls: how they end, in stand-ins of the modules that run them there."""

from __future__ import annotations

import contextlib
import sys
import threading
from types import ModuleType

import pytest

from resumable.launch.worker.entering.train_functions import TrainFunctionWatch
from resumable.launch.worker.patching import Patches
from resumable.launch.worker.torch_private import RAY_RUNNERS

FIRST, SECOND = RAY_RUNNERS


class RunnerThread(threading.Thread):
    """Of Ray Train's first version: gets the function by name when it is made."""

    def __init__(self, *args, error_queue=None, **kwargs):
        super().__init__(*args, **kwargs)

    def run(self):
        with contextlib.suppress(Exception):  # it goes into a queue there
            super().run()


class ThreadRunner:
    """Of its second one: gets it when it is to run."""

    def run(self, target):
        with contextlib.suppress(Exception):
            target()


def run_by(module: str, function) -> None:
    if module == SECOND:
        sys.modules[module].ThreadRunner().run(function)
        return
    thread = sys.modules[module].RunnerThread(target=function, daemon=True, error_queue=None)
    thread.start()
    thread.join()


@pytest.fixture
def ends(monkeypatch):
    """What is said of the functions' ends."""
    said: list[BaseException | None] = []
    with monkeypatch.context() as patch:
        for name, runner in ((FIRST, RunnerThread), (SECOND, ThreadRunner)):
            module = ModuleType(name)
            setattr(module, runner.__name__, runner)
            patch.setitem(sys.modules, name, module)
        patches = Patches()
        TrainFunctionWatch(said.append).install(patches)
        yield said
        patches.undo()


def fail():
    raise ValueError("no such column")


@pytest.mark.parametrize("module", [FIRST, SECOND])
def test_a_function_that_returns_is_done(ends, module):
    """Its process lives on until Ray kills it."""
    run_by(module, lambda: None)
    assert ends == [None]


@pytest.mark.parametrize("module", [FIRST, SECOND])
def test_what_a_function_raises_is_said(ends, module):
    """Ray catches it, and no interpreter ends by it."""
    run_by(module, fail)
    assert [str(error) for error in ends] == ["no such column"]
