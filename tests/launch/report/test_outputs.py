import pytest

from resumable.launch.errors import LaunchError
from resumable.launch.judge.results import encode_results
from resumable.launch.report.html import html
from resumable.launch.report.junit import junit
from resumable.launch.report.markdown import markdown
from resumable.launch.report.outputs import ReportOptions, write_reports
from tests.launch.report import samples
from tests.launch.report.timelines import NO_EVIDENCE


@pytest.fixture(autouse=True)
def outside_of_github(monkeypatch):
    """Whatever runs these tests."""
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)


@pytest.mark.parametrize(
    ("name", "rendering"),
    [
        ("html", lambda results: html(results, NO_EVIDENCE).encode()),
        ("junit", junit),
        ("json", encode_results),
        ("markdown", lambda results: markdown(results).encode()),
    ],
)
def test_each_flag_writes_its_file(tmp_path, name, rendering):
    """Folders are made as needed; nothing else is written."""
    write_reports(ReportOptions(**{name: str(tmp_path / "new/file")}), samples.fixed(), NO_EVIDENCE)
    assert rendering(samples.fixed()) == (tmp_path / "new/file").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_a_dash_is_the_standard_output(capsysbinary):
    """For `>> "$GITHUB_STEP_SUMMARY"`."""
    write_reports(ReportOptions(markdown="-"), samples.fixed(), NO_EVIDENCE)
    assert markdown(samples.fixed()).encode() == capsysbinary.readouterr().out


def test_strict_reaches_junit(tmp_path):
    """UNKNOWN becomes a failure."""
    target = tmp_path / "junit.xml"
    results = samples.of(samples.undecided())
    write_reports(ReportOptions(junit=str(target), is_strict=True), results, NO_EVIDENCE)
    assert junit(results, strict=True) == target.read_bytes()


@pytest.mark.parametrize(("value", "num_lines"), [("true", 1), ("", 0), ("false", 0)])
def test_annotations_are_for_github_alone(monkeypatch, capsys, value, num_lines):
    """Elsewhere they would be noise."""
    monkeypatch.setenv("GITHUB_ACTIONS", value)
    write_reports(ReportOptions(), samples.of(samples.invalid()), NO_EVIDENCE)
    assert num_lines == capsys.readouterr().out.count("::error ")


def test_a_file_that_cannot_be_written_names_its_flag(tmp_path):
    """Before a traceback would."""
    with pytest.raises(LaunchError, match=r"--json .*: cannot be written"):
        write_reports(ReportOptions(json=str(tmp_path)), samples.fixed(), NO_EVIDENCE)
