import io
import json
import threading
from pathlib import Path

import pytest
from rich.console import Console

from resumable.launch.cli.main import main
from resumable.launch.doctor import run_doctor
from resumable.launch.doctor.examination import QUICK_PROBES, TRIALS
from resumable.launch.doctor.finding import Finding, Status, exit_code, fail, ok, unknown, warn
from resumable.launch.doctor.probe import Probe, Subject, examine, within
from resumable.launch.errors import LaunchError

SUBJECT = Subject(nproc_per_node=2, run_dir=Path("runs"))
GOOD = ok("good", "all is well")
POOR = warn("poor", "it is slow [bold]", "buy another")
BAD = fail("bad", "it is broken", "fix it")
DARK = unknown("dark", "who knows")


def saying(finding: Finding) -> Probe:
    return Probe(name=finding.name, ask=lambda _subject: finding)


def told(*findings: Finding, width: int = 80, **options: object) -> tuple[int, str]:
    """Exit code and output of a doctor whose probes say this."""
    printed = io.StringIO()
    console = Console(file=printed, width=width, no_color=True, force_terminal=False)
    code = run_doctor(
        console, nproc_per_node=2, run_dir=Path("runs"), probes=[saying(finding) for finding in findings], **options
    )
    return code, printed.getvalue()


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        ([GOOD], 0),
        ([GOOD, POOR], 0),
        ([GOOD, DARK], 3),
        ([DARK, BAD, GOOD], 1),
        ([], 0),
    ],
)
def test_a_failure_beats_not_knowing_beats_all_else(findings, expected):
    """A warning does not stop a pipeline; what nobody could tell does."""
    assert expected == exit_code(findings)
    assert expected == told(*findings)[0]


def broken(_subject: Subject) -> Finding:
    raise KeyError("no such file")


@pytest.mark.parametrize("timeout_s", [None, 5.0])
def test_a_probe_that_throws_could_not_tell(timeout_s):
    """It neither passes nor stops the others."""
    finding = examine(Probe(name="broken", ask=broken, timeout_s=timeout_s), SUBJECT)
    assert unknown("broken", "the probe itself failed: KeyError: 'no such file'") == finding


def test_a_probe_that_hangs_could_not_tell():
    """It is left behind at its limit."""
    release = threading.Event()
    stuck = Probe(name="stuck", ask=lambda _subject: GOOD if release.wait() else BAD, timeout_s=0.05)
    finding = examine(stuck, SUBJECT)
    release.set()
    assert unknown("stuck", "no answer within 0.05 s") == finding


def test_a_call_within_its_limit_hands_over_its_value_or_its_error():
    """Either way the time is known."""
    good, bad = within(5.0, lambda: 7), within(5.0, lambda: {}["x"])
    assert (good.value, good.error, good.is_late) == (7, None, False)
    assert (None, KeyError, False) == (bad.value, type(bad.error), bad.is_late)


def test_the_table_shows_name_status_meaning_and_fix():
    """One row each; text from the machine is no markup."""
    _, output = told(GOOD, POOR, DARK)
    assert output.splitlines() == [
        "good  ok       all is well",
        "poor  warn     it is slow [bold]",
        "               fix: buy another",
        "dark  unknown  who knows",
        "",
        "1 ok, 1 warn, 1 unknown",
    ]


def test_the_table_is_readable_at_80_columns():
    """However long a finding is."""
    _, output = told(warn("a long name", "word " * 60, "fix " * 60))
    assert max(map(len, output.splitlines())) <= 80


def test_the_findings_can_be_read_by_a_program(tmp_path):
    """With the exit code, and a version."""
    told(POOR, json_file=str(tmp_path / "doctor.json"))
    expected = {"name": "poor", "status": "warn", "meaning": "it is slow [bold]", "fix": "buy another"}
    assert {"version": 2, "exit_code": 0, "findings": [expected]} == json.loads((tmp_path / "doctor.json").read_bytes())


def test_a_report_that_cannot_be_written_is_an_error(tmp_path):
    """It names the flag."""
    with pytest.raises(LaunchError, match=r"--json .*: cannot be written"):
        told(GOOD, json_file=str(tmp_path))


@pytest.mark.parametrize("target", ["doctor.json", "-"])
def test_the_command_writes_the_findings_where_it_is_told_to(tmp_path, monkeypatch, capsysbinary, target):
    """With a dash nothing but them is on the standard output."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("resumable.launch.doctor.examination.QUICK_PROBES", (saying(GOOD),))
    assert main(["doctor", "--quick", "--json", target]) == 0
    written = capsysbinary.readouterr().out if target == "-" else (tmp_path / target).read_bytes()
    assert [finding["name"] for finding in json.loads(written)["findings"]] == [GOOD.name]


@pytest.mark.parametrize("probe", QUICK_PROBES, ids=lambda probe: probe.name)
def test_a_finding_carries_the_name_of_its_probe(tmp_path, probe):
    """So that a probe that answers and one that broke have the same row."""
    assert probe.name == probe.ask(Subject(nproc_per_node=2, run_dir=tmp_path)).name


def test_no_two_probes_share_a_name():
    """Rows are told apart by it."""
    names = [probe.name for probe in (*QUICK_PROBES, *TRIALS)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("status", list(Status))
def test_every_status_can_be_shown(status):
    """None is left out of the styles."""
    assert status in told(Finding(name="x", status=status, meaning="y"))[1]
