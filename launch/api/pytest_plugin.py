"""For pytest: the fixture `resume_rig` and the mark `resume`.

@pytest.mark.resume(nproc_per_node=2)
def test_training_survives_a_kill(resume_rig):
    verdict = resume_rig.verify("train.py", "--epochs", 2, faults=["sigkill@step=7:rank=1"])
    assert verdict, verdict.reason
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from resumable.launch.api.launcher import Launcher

_MARK = "resume(nproc_per_node=2, **options): how `resume_rig` launches; the options of `resumable.launch.Launcher`"

_EXAMPLE = "@pytest.mark.resume(nproc_per_node=2)"


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line("markers", _MARK)


@pytest.fixture
def resume_rig(request: pytest.FixtureRequest, _launchers: Callable[..., Launcher]) -> Launcher:
    """A `resumable.launch.Launcher`, made with the options of the mark `resume`; its nodes stay warm from test to test."""
    mark = request.node.get_closest_marker("resume")
    if mark is not None and mark.args:
        values = ", ".join(map(repr, mark.args))
        pytest.fail(f"@pytest.mark.resume({values}): name each value, as in {_EXAMPLE}", pytrace=False)
    return _launchers(**(mark.kwargs if mark else {}))


@pytest.fixture(scope="session")
def _launchers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Launcher]]:
    from resumable.launch.api.launcher import Launcher  # noqa: PLC0415 - a test run without the rig does not pay for it

    launchers: dict[str, Launcher] = {}
    with contextlib.ExitStack() as nodes:

        def get(*, nproc_per_node: int = 2, **options: Any) -> Launcher:  # noqa: ANN401 - whatever a launcher takes
            key = repr(sorted({"nproc_per_node": nproc_per_node, **options}.items()))
            if key not in launchers:
                launcher = Launcher(nproc_per_node, root=tmp_path_factory.mktemp("resume"), **options)
                launchers[key] = nodes.enter_context(launcher)
            return launchers[key]

        yield get
