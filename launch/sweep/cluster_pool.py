"""Clusters that work off scenarios side by side, each in a thread of its own, warm from the first scenario to the last."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from types import TracebackType
from typing import Literal, Self

import msgspec

from resumable.launch.cluster import Cluster
from resumable.launch.errors import NodeError
from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.plan.plan import Plan, Scenario
from resumable.launch.run.supervisor import Supervisor

_POLL_S = 0.1
_MAX_LOST_CLUSTERS = 3
"""In a row, of one thread: then it is not the job's doing."""


class ScenarioEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What has become of one scenario."""

    scenario: Scenario
    state: Literal["begun", "ended"]
    """ended: by itself, or because one of its nodes died; its evidence says which."""


class ClusterPool:
    """A context manager: whatever ends it, nothing outlives it.

    Args:
        plan: Of the sweep.
        run_dir: Gets the evidence.
        clusters: Makes each thread's cluster, given its number; once more for one that lost a node for good.
        num_jobs: Threads.
        is_warm: A cluster lives from one scenario to the next; if not, every scenario gets a new one.
    """

    def __init__(
        self,
        plan: Plan,
        run_dir: RunDir,
        clusters: Callable[[int], Cluster],
        *,
        num_jobs: int,
        is_warm: bool = True,
    ) -> None:
        self._plan = plan
        self._run_dir = run_dir
        self._clusters = clusters
        self._is_warm = is_warm
        self._tasks: queue.SimpleQueue[Scenario | None] = queue.SimpleQueue()
        self._events: queue.SimpleQueue[ScenarioEvent | BaseException] = queue.SimpleQueue()
        self._is_over = threading.Event()
        self._unwanted: set[str] = set()
        self._threads = [
            threading.Thread(target=self._work, args=(number,), name=f"job-{number}") for number in range(num_jobs)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_over.set()
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()

    def run(
        self, scenarios: Iterable[Scenario], *, is_enough: Callable[[], bool] = lambda: False
    ) -> Iterator[ScenarioEvent | None]:
        """Run scenarios, as many at a time as there are threads.

        Args:
            scenarios: In the order in which they are begun; each is asked for when its turn comes.
            is_enough: Whether none is to be begun any more.

        Yields:
            What happens, as it happens, and about ten times a second None.

        Raises:
            NodeError: clusters die as fast as they are started.
        """
        waiting, num_open = iter(scenarios), 0
        while True:
            while num_open < len(self._threads) and not is_enough():
                scenario = next(waiting, None)
                if scenario is None:
                    break
                self._tasks.put(scenario)
                num_open += 1
            if not num_open:
                return
            event = self._next()
            num_open -= event is not None and event.state == "ended"
            yield event

    def stop(self, scenario: Scenario) -> None:
        """End a scenario that runs, in order; its cluster stays warm."""
        self._unwanted.add(scenario.name)

    def _next(self) -> ScenarioEvent | None:
        try:
            event = self._events.get(timeout=_POLL_S)
        except queue.Empty:
            return None
        if isinstance(event, BaseException):
            raise event
        return event

    def _work(self, number: int) -> None:
        try:
            self._work_on_clusters(number)
        except BaseException as error:  # the main thread has to know, whatever it was
            self._events.put(error)

    def _work_on_clusters(self, number: int) -> None:
        num_lost = 0
        while (scenario := self._next_task()) is not None:
            num_done = self._work_on_cluster(number, scenario)
            num_lost = 0 if num_done else num_lost + 1
            if num_lost == _MAX_LOST_CLUSTERS:
                raise NodeError(f"{num_lost} clusters in a row died before one scenario ended")

    def _work_on_cluster(self, number: int, first: Scenario) -> int:
        """Run one scenario after the other for as long as the cluster may live; returns how many ended."""
        scenario: Scenario | None = first
        num_done = 0
        with self._clusters(number) as cluster:
            supervisor = Supervisor(self._plan, self._run_dir, cluster)
            while scenario is not None:
                self._events.put(ScenarioEvent(scenario=scenario, state="begun"))
                try:
                    supervisor.run(scenario, on_tick=partial(self._stop_if_over, scenario))
                except _Over:
                    supervisor.interrupt()
                    if self._is_over.is_set():
                        break
                except NodeError:
                    self._events.put(ScenarioEvent(scenario=scenario, state="ended"))
                    break
                num_done += 1
                self._events.put(ScenarioEvent(scenario=scenario, state="ended"))
                scenario = self._next_task() if self._is_warm else None
        return num_done

    def _next_task(self) -> Scenario | None:
        """The next scenario; None when all is over, and from then on."""
        task = None if self._is_over.is_set() else self._tasks.get()
        return None if self._is_over.is_set() else task

    def _stop_if_over(self, scenario: Scenario) -> None:
        if self._is_over.is_set() or scenario.name in self._unwanted:
            raise _Over


class _Over(BaseException):
    """The pool is left while a scenario runs, or nobody wants to know how it ends."""


def num_jobs_for(*, num_cores: int, num_ranks: int) -> int:
    """How many runs keep the cores of a machine busy: one more than there is room for, as ranks often wait."""
    return 1 + -(-num_cores // num_ranks)
