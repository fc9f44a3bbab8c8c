"""For pytest: the fixture `resume_rig` and the mark `resume`.

@pytest.mark.resume(nproc_per_node=2, at="3,10-20,save#1+during")
def test_training_survives_a_kill(resume_rig):
    resume_rig.verify("train.py", "--epochs", 2).assert_valid()

is a test for each of the moments and ranks, `test_training_survives_a_kill[sigkill-step3-rank0]` and so on, which share
their uninterrupted runs. Without `at=` the test itself says what is done: `verify(…, faults="sigkill@step=7:rank=1")`.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
import time
from collections.abc import Callable, Generator, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from resumable.launch.api.launcher import Launcher
    from resumable.launch.api.mark import MarkedPoint
    from resumable.launch.api.rig import ResumeRig
    from resumable.launch.api.verdict import Verdict

_MARK = (
    "resume(nproc_per_node=2, at=None, ranks='each', kinds='sigkill', steps=None, **options): how `resume_rig` launches, "
    "and where it hits the job: one test for each point; the further options are those of `resumable.launch.Launcher`"
)
_EXAMPLE = "@pytest.mark.resume(nproc_per_node=2)"
_NUM_LOG_LINES = 40
_NOTE = "resume note"
"""Name of a property of a test's report."""
_UNNAMEABLE = re.compile(r"[^A-Za-z0-9_.=@+-]+")
_MAX_NAME = 150

_rig_key = pytest.StashKey["ResumeRig"]()
_begin_key = pytest.StashKey[float]()
_passed_key = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Flags of a test run."""
    group = parser.getgroup("resume", "resumable: jobs that are killed and must go on exactly")
    group.addoption(
        "--resume-sweep",
        choices=["quick", "full"],
        default="full",
        help="of the points of each mark with at=: all, or the first, the middle and the last (default: full)",
    )
    group.addoption(
        "--resume-budget", type=float, metavar="S", help="after so many seconds, skip the points that are left"
    )
    group.addoption(
        "--resume-keep",
        choices=["failed", "all", "none"],
        default="failed",
        help="which run directories outlive their test: those of failed ones, all, none (default: failed)",
    )
    group.addoption("--resume-report", metavar="DIR", help="write the report of everything judged, one HTML page each")


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line("markers", _MARK)
    config.stash[_begin_key] = time.monotonic()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each point of a mark that says where the job is hit."""
    mark = metafunc.definition.get_closest_marker("resume")
    has_rig = "resume_rig" in metafunc.fixturenames
    if mark is None or not (has_rig or mark in metafunc.definition.own_markers):
        return
    points = _points_of(mark, metafunc.definition)
    if not points:
        return
    if not has_rig:
        test = metafunc.definition.nodeid
        raise _refusal(
            f"{test}: @pytest.mark.resume names points, and the test takes no `resume_rig` to hit its job there"
        )
    from resumable.launch.api.mark import quick

    if metafunc.config.getoption("--resume-sweep") == "quick":
        points = quick(points)
    metafunc.fixturenames.append("_resume_point")
    metafunc.parametrize("_resume_point", points, ids=[point.test_id for point in points], indirect=True)


def _points_of(mark: pytest.Mark, definition: pytest.Function) -> list[MarkedPoint]:
    from resumable.launch.api.mark import marked_points
    from resumable.launch.errors import LaunchError

    try:
        return marked_points(mark.kwargs)
    except LaunchError as error:
        raise _refusal(f"{definition.nodeid}: @pytest.mark.resume: {error}") from None


def _refusal(reason: str) -> BaseException:
    """What ends a test, or the search for tests, with a sentence alone."""
    return pytest.fail.Exception(reason, pytrace=False)


@pytest.fixture
def _resume_point(request: pytest.FixtureRequest) -> MarkedPoint | None:
    return getattr(request, "param", None)


@pytest.fixture
def resume_rig(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    _launchers: Callable[..., Launcher],
    _resume_point: MarkedPoint | None,
) -> Iterator[ResumeRig]:
    """Runs jobs and judges them: `run`, `verify`, `sweep`; made with the options of the mark `resume`.

    Its nodes stay warm from test to test, and the tests of one mark share their uninterrupted runs, those of other workers
    of pytest-xdist too.
    """
    from resumable.launch.api.mark import SWEPT
    from resumable.launch.api.rig import ResumeRig
    from resumable.launch.run.kept_references import KeptReferences

    budget_s = request.config.getoption("--resume-budget")
    if budget_s is not None and time.monotonic() - request.config.stash[_begin_key] > budget_s:
        pytest.skip(f"--resume-budget {budget_s:g}: the time is used up")
    mark = request.node.get_closest_marker("resume")
    if mark is not None and mark.args:
        values = ", ".join(map(repr, mark.args))
        raise _refusal(f"@pytest.mark.resume({values}): name each value, as in {_EXAMPLE}")
    options = {name: value for name, value in (mark.kwargs if mark else {}).items() if name not in SWEPT}
    rig = ResumeRig(_launcher(_launchers, options), _resume_point, KeptReferences(_shared(request, tmp_path_factory)))
    request.node.stash[_rig_key] = rig
    yield rig
    _finish(rig, request)


def _launcher(launchers: Callable[..., Launcher], options: dict[str, Any]) -> Launcher:
    from resumable.launch.errors import UsageError

    try:
        return launchers(**options)
    except UsageError as error:
        raise _refusal(f"@pytest.mark.resume: {error}{_nearest(options)}") from None


def _nearest(options: dict[str, Any]) -> str:
    """The right spelling of an option that there is not."""
    import inspect

    from resumable.launch.api.launcher import Launcher
    from resumable.launch.api.mark import SWEPT

    known = [*inspect.signature(Launcher).parameters, *SWEPT]
    found = {name: get_close_matches(name, known, n=1) for name in options if name not in known}
    hints = [f"\n{name}: did you mean {near[0]}?" for name, near in found.items() if near]
    return "".join(hints)


def _shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the uninterrupted runs of one test function, the same in all workers of pytest-xdist."""
    base = tmp_path_factory.getbasetemp()
    root = base.parent if hasattr(request.config, "workerinput") else base
    function = request.node.nodeid.partition("[")[0]
    return root / "resume-references" / hashlib.sha256(function.encode()).hexdigest()[:16]


@pytest.fixture(scope="session")
def _launchers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Launcher]]:
    from resumable.launch.api.launcher import Launcher

    launchers: dict[str, Launcher] = {}
    with contextlib.ExitStack() as nodes:

        def get(*, nproc_per_node: int = 2, **options: Any) -> Launcher:  # noqa: ANN401 - whatever a launcher takes
            key = repr(sorted({"nproc_per_node": nproc_per_node, **options}.items()))
            if key not in launchers:
                launcher = Launcher(nproc_per_node, root=tmp_path_factory.mktemp("resume"), **options)
                launchers[key] = nodes.enter_context(launcher)
            return launchers[key]

        yield get


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Beside a failed test: what was judged, and what the ranks printed last."""
    report = yield
    rig = item.stash.get(_rig_key, None)
    if rig is None or call.when != "call":
        return report
    from resumable.launch.api.verdict import NotValidError

    item.stash[_passed_key] = report.passed
    report.user_properties += [(_NOTE, note) for note in rig.notes]
    is_told = call.excinfo is not None and call.excinfo.errisinstance(NotValidError)
    crash = getattr(report.longrepr, "reprcrash", None)
    if is_told and crash is not None and call.excinfo is not None:
        # The line of the short summary, where the name of the exception would leave no room for the verdict.
        crash.message = str(call.excinfo.value).partition("\n")[0]
    for verdict in rig.verdicts if report.failed else ():
        if not verdict:
            report.sections += [] if is_told else [("resume verdict", verdict.explanation)]
            report.sections += [(f"resume {name}", "\n".join(lines)) for name, lines in verdict.logs(_NUM_LOG_LINES)]
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What the authors of tests should know, whatever came of them."""
    reports = [report for name in ("passed", "failed") for report in terminalreporter.getreports(name)]
    for report in reports:
        for name, note in report.user_properties:
            if name == _NOTE:
                terminalreporter.line(f"{report.nodeid}: {note}")


def _finish(rig: ResumeRig, request: pytest.FixtureRequest) -> None:
    """Write the reports that are wanted, and remove the run directories that nobody wants."""
    folder, keep = request.config.getoption("--resume-report"), request.config.getoption("--resume-keep")
    has_passed = request.node.stash.get(_passed_key, False)
    if has_passed and rig.point is not None and not rig.verdicts:
        raise _refusal(f"{rig.point.name}: nothing was hit; the test calls no resume_rig.verify(...)")
    for number, verdict in enumerate(rig.verdicts):
        if folder is not None:
            _write_report(Path(folder), request.node.nodeid, number, verdict)
        if keep == "none" or (keep == "failed" and has_passed):
            shutil.rmtree(verdict.run_dir, ignore_errors=True)


def _write_report(folder: Path, test: str, number: int, verdict: Verdict) -> None:
    from resumable.launch.evidence.run_dir import RunDir
    from resumable.launch.report.outputs import ReportOptions, write_reports
    from resumable.launch.report.reading import CaseEvidence, read_results

    folder.mkdir(parents=True, exist_ok=True)
    name = _UNNAMEABLE.sub("-", test).strip("-")[-_MAX_NAME:] + (f"-{number}" if number else "")
    run_dir = RunDir(root=verdict.run_dir)
    wanted = ReportOptions(html=str(folder / f"{name}.html"), json=str(folder / f"{name}.json"))
    write_reports(wanted, read_results(run_dir), CaseEvidence(run_dir.read_plan(), run_dir))
