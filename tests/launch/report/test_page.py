import json
from pathlib import Path

import pytest

from resumable.launch.report.html import html
from resumable.launch.report.page import page_data
from resumable.launch.report.reading import CaseEvidence, read_results
from tests.launch.report import samples, timelines
from tests.launch.sweep.evidence import BAD, GOOD


def test_a_sweep_shares_its_reference_and_begins_with_what_fails(tmp_path):
    """One track for the reference of all, and one for each case."""
    data = timelines.data_in(timelines.page_of(timelines.sweep_run(tmp_path / "run")))
    assert (3, {0}) == (len(data.tracks), {case.reference for case in data.cases.values()})
    assert ["reference-1", BAD.name, GOOD.name] == [track.name for track in data.tracks]


@pytest.mark.parametrize(
    ("max_batches", "left_out"),
    [(1000, set()), (120, {GOOD.name}), (90, {GOOD.name, BAD.name}), (0, {GOOD.name, BAD.name})],
)
def test_a_page_that_is_full_leaves_out_what_is_valid(tmp_path, max_batches, left_out):
    """What failed is drawn first, a case as a whole or not at all, and the page says how many have no timeline."""
    run_dir = timelines.sweep_run(tmp_path / "run")
    results = read_results(run_dir)
    anchors = {case.scenario: case.scenario for case in results.cases}
    data = page_data(results, anchors, CaseEvidence(run_dir.read_plan(), run_dir), max_batches=max_batches)
    assert left_out == {name for name, case in data.cases.items() if case.track is None}
    num = sum(lane.num_steps for track in data.tracks for lane in track.lanes)
    assert (len(left_out), True) == (data.num_left_out, num <= max_batches)


def test_a_run_that_no_page_holds_says_so(tmp_path):
    """And what holds it."""
    run_dir = timelines.run_of(samples.valid(), tmp_path / "run")
    text = html(read_results(run_dir), CaseEvidence(run_dir.read_plan(), run_dir), max_batches=10)
    assert "1 case without a timeline" in text


@pytest.mark.parametrize("text", ["</script", "<!--", "<b1>", "\u2028", "\u2029", "\u202e"])
def test_no_byte_of_the_evidence_leaves_its_place(tmp_path: Path, text: str) -> None:
    """Neither in the data of the script nor in what is printed beside it."""
    page = timelines.page_of(timelines.hostile_run(tmp_path / "run"))
    own = page.count(text)
    assert timelines.page_of(timelines.run_of(samples.invalid(), tmp_path / "harmless")).count(text) == own


def test_the_data_are_plain_json(tmp_path):
    """In ASCII, and with every sample's name as it was, but for what nobody could see."""
    page = timelines.page_of(timelines.hostile_run(tmp_path / "run"))
    data = page[page.index('id="data">') + len('id="data">') :]
    data = data[: data.index("</script>")]
    assert data.isascii()
    assert timelines.VISIBLE in json.loads(data)["samples"]["batches"][0][0]
