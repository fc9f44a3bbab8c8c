"""A function as the job: how its call travels to the ranks, and its value back."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import cloudpickle

from resumable.launch.system.environment import RankEnvironment


def write_call(
    file: Path, function: Callable[..., object], arguments: Sequence[object], options: Mapping[str, object]
) -> None:
    """Store a call for `run_call`.

    A function of an importable module travels by its name, together with where this process finds modules; one of
    `__main__`, a lambda or a closure travels by value.
    """
    call = cloudpickle.dumps((function, tuple(arguments), dict(options)))
    file.write_bytes(pickle.dumps((sys.path, call)))


def run_call(file: Path) -> None:
    """Make the call in this rank, and store its value for `read_value`."""
    search_path, call = pickle.loads(file.read_bytes())
    sys.path[:] = [*search_path, *(entry for entry in sys.path if entry not in search_path)]
    function, arguments, options = pickle.loads(call)
    value = function(*arguments, **options)
    environment = RankEnvironment.read()
    _value_file(environment.scenario_dir, environment.rank).write_bytes(cloudpickle.dumps(value))


def read_value(scenario_dir: Path, rank: int) -> object:
    """What the function returned on a rank, when it last came to its end; None where it did not."""
    file = _value_file(scenario_dir, rank)
    return pickle.loads(file.read_bytes()) if file.exists() else None


def _value_file(scenario_dir: Path, rank: int) -> Path:
    return scenario_dir / f"value-{rank}.pkl"
