"""Tries mutants on the tests that call them: each in a fork of one process that has collected the tests.

Nothing is written, and no interpreter starts. Tests that killed mutants of a module come first with its next ones.
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice, zip_longest
from multiprocessing import Pipe
from pathlib import Path
from types import CodeType, FrameType, FunctionType

import pytest

from tests.mutation.mutants import Mutant, mutants_of

MAX_MEMORY_BYTES = 8 << 30
MAX_OBSERVING_S = 900.0
"""Of a processor."""


@dataclass(kw_only=True)
class Campaign:
    """A plugin of pytest: where it would run the tests, it tries mutants."""

    paths: Sequence[Path]
    every: int
    """Of so many mutants one is tried."""
    budget_s: float
    """Of a processor, that the tests of one mutant may take, as they do while their calls are noted."""
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By module and result."""
    _has_failed: bool = False

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the tests once, to see what they call, and then some of them for each mutant."""
        session.config.pluginmanager.unregister(name="terminalreporter")  # tests that fail are what is asked for
        # By `type`: torch.distributed has objects that warn when they are asked for their class.
        found = [one for one in gc.get_objects() if type(one) is FunctionType]
        functions = {(one.__code__.co_filename, one.__qualname__): one for one in found}
        gc.collect()
        gc.freeze()  # forks share what is there
        observed = in_child(lambda: self._observe(session.items), cpu_s=MAX_OBSERVING_S)
        if not isinstance(observed, tuple):
            raise pytest.UsageError("a test fails as it is: mutants would show nothing")
        durations, calls = observed
        for path in self.paths:
            by_duration = sorted(session.items, key=lambda item: durations[item.nodeid])
            order = _in_turns(by_duration, f"{path.parent.name}/test_{path.stem}.py")
            kills: Counter[str] = Counter()
            for mutant in islice(mutants_of(path), 0, None, self.every):
                key = str(path), mutant.function
                items = _within([item for item in order if key in calls[item.nodeid]], durations, self.budget_s)
                items.sort(key=lambda item: -kills[item.nodeid])
                killer = self._killer(functions[key], mutant.code, items)
                kills[killer or ""] += 1
                self._tell(path, mutant, "no test" if not items else "survived" if killer == "" else "killed")
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test has ended, in a child."""
        self._has_failed |= report.failed

    def _observe(self, items: Sequence[pytest.Item]) -> tuple[dict[str, float], dict[str, set[tuple[str, str]]]] | None:
        """How long each test takes of a processor, and which functions it calls; None if one fails."""
        durations: dict[str, float] = {}
        calls: dict[str, set[tuple[str, str]]] = defaultdict(set)
        files = set(map(str, self.paths))

        def note(frame: FrameType, _event: str, _argument: object) -> None:
            if frame.f_code.co_filename in files:
                calls[item.nodeid].add((frame.f_code.co_filename, frame.f_code.co_qualname))

        for item in items:
            began = time.process_time()
            sys.settrace(note)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            sys.settrace(None)
            durations[item.nodeid] = time.process_time() - began
        return None if self._has_failed else (durations, {item.nodeid: calls[item.nodeid] for item in items})

    def _killer(self, function: FunctionType, code: CodeType, items: Sequence[pytest.Item]) -> object:
        """The test that fails with this code; "" if none does, and None if the process does not survive it."""

        def try_all() -> str:
            function.__code__ = code
            for item in items:
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
                if self._has_failed:
                    return item.nodeid
            return ""

        return in_child(try_all, cpu_s=10 + 5 * self.budget_s)

    def _tell(self, path: Path, mutant: Mutant, result: str) -> None:
        name = f"{path.parent.name}/{path.name}"
        self.counts[name, result] += 1
        if result != "killed":
            print(f"{result}: {name}:{mutant}", flush=True)


def _in_turns(items: Sequence[pytest.Item], mirrored: str) -> list[pytest.Item]:
    """The mirrored tests, then one test of each file after another, so that each kind is among the first."""
    by_file: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        by_file[item.nodeid.partition("::")[0]].append(item)
    own = [item for name, group in by_file.items() if name.endswith(mirrored) for item in group]
    turns = zip_longest(*(group for name, group in by_file.items() if not name.endswith(mirrored)))
    return own + [item for turn in turns for item in turn if item is not None]


def _within(items: Sequence[pytest.Item], durations: dict[str, float], budget_s: float) -> list[pytest.Item]:
    """The first of them that a budget allows."""
    chosen: list[pytest.Item] = []
    for item in items:
        if durations[item.nodeid] <= budget_s:
            budget_s -= durations[item.nodeid]
            chosen.append(item)
    return chosen


def in_child(act: Callable[[], object], *, cpu_s: float) -> object:
    """What an act returns in a fork of this process; None if it died, or took more time of a processor."""
    here, there = Pipe(duplex=False)
    child = os.fork()
    if not child:
        silence = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(silence, number)
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, cpu_s)
        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
        try:
            there.send(act())
        finally:
            os._exit(0)
    there.close()
    try:
        return here.recv()
    except EOFError:
        return None
    finally:
        here.close()
        os.waitpid(child, 0)
