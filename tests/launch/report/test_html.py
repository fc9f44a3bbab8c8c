import base64
import hashlib
import re
from html.parser import HTMLParser

import msgspec
import pytest

from resumable.launch.explain.outcome import Outcome
from resumable.launch.report.html import MAX_VIOLATIONS
from tests.launch.report import samples, timelines
from tests.launch.report.timelines import without_evidence

VOID = {"meta", "br", "link", "img", "input", "hr"}
OWN_SCRIPT = re.compile(r'<script id="program">(.*?)</script>', re.DOTALL)


class Page(HTMLParser):
    """Collects what a browser would act on, and whether every element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.unbalanced: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.extend((name, value or "") for name, value in attrs)
        self.open.extend([tag] if tag not in VOID else [])

    def handle_endtag(self, tag):
        expected = self.open.pop() if self.open else ""
        self.unbalanced.extend([tag] if tag != expected else [])

    def handle_data(self, data):
        self.words.append(" ".join(data.split()))

    @property
    def text(self) -> str:
        return " ".join(word for word in self.words if word)


ALL = {
    "valid": samples.of(samples.valid()),
    "invalid": samples.of(samples.invalid()),
    "unknown": samples.of(samples.undecided()),
    "sweep": samples.sweep(),
    "broken off": samples.broken_off(),
    "sampled": samples.sampled(),
    "empty": samples.empty(),
    "hostile": samples.hostile(),
    "fixed": samples.fixed(),
}


@pytest.mark.parametrize("name", sorted(ALL))
def test_every_page_is_whole_and_stands_alone(name):
    """All elements are closed; nothing is loaded, and nothing runs but the page's own script, which its policy names."""
    text = without_evidence(ALL[name])
    page = Page(text)
    assert (page.open, page.unbalanced) == ([], [])
    assert {"script"} == {"script", "link", "img", "iframe"} & set(page.tags)
    addresses = [value for attribute, value in page.attributes if attribute in ("src", "href")]
    assert [address for address in addresses if not address.startswith("#case-")] == []
    [own] = OWN_SCRIPT.findall(text)
    digest = base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()
    [policy] = [value for attribute, value in page.attributes if attribute == "content" and "script-src" in value]
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


@pytest.mark.parametrize(
    ("name", "word"), [("valid", "VALID"), ("invalid", "INVALID"), ("unknown", "UNKNOWN"), ("empty", "UNKNOWN")]
)
def test_the_title_is_the_verdict(name, word):
    """A tab in a browser shows it."""
    assert f"<title>{word} - train.py</title>" in without_evidence(ALL[name])


@pytest.mark.parametrize(
    "words",
    [
        "rank 1 trained on different samples in batch 4 of epoch 0",
        "it skipped 1 batch from batch 4 of epoch 0 on",
        "faulted/events/i001-r0001-1.jsonl:5",
        "expected 51 4 52 38 found 58 6 18 57",
        "sigkill@step=4:rank=1 rank 1 of incarnation 0, 5 steps done, at batch 4 of epoch 0",
        "faulted/logs/i000/rank1.err",
        "1 0 0 to 4 0 1 sigkill@step=4:rank=1 ; left no record of its end: it was killed, or could record no more",
        "0 1 4 to 23 1 0 finished",
        "resumable verify --nproc-per-node 2 --max-restarts 0 --fault sigkill@step=4:rank=1 train.py",
    ],
)
def test_an_invalid_run_is_told_from_the_fault_to_the_wrong_batch(words, tmp_path):
    """What died, what was lost and done again, the first difference, and how to do it again."""
    assert words in Page(timelines.page_of(timelines.run_of(samples.invalid(), tmp_path / "run"))).text


@pytest.mark.parametrize("name", ["valid", "invalid", "unknown"])
def test_every_check_is_there(name):
    """With its name and what it says."""
    reports = ALL[name].cases[0].verdict.checks
    text = Page(without_evidence(ALL[name])).text
    assert [r.name for r in reports if r.name not in text or r.result.summary not in text] == []


def test_hostile_text_is_shown_as_text():
    """What a job says appears word by word, and adds no element."""
    page = Page(without_evidence(ALL["hostile"]))
    assert "</td><script>alert(1)</script>" in page.text
    assert "\x1b" not in without_evidence(ALL["hostile"])


def test_a_sweep_shows_its_grid_and_every_cell_leads_to_its_case():
    """VALID or not; and each cause to its first case."""
    results = ALL["sweep"]
    page = Page(without_evidence(results))
    links = {value for name, value in page.attributes if name == "href"}
    targets = {f"#{value}" for name, value in page.attributes if name == "id" and value.startswith("case-")}
    assert (len(results.cases), targets) == (len(targets), links)
    assert page.attributes.count(("class", "invalid")) == 2


def test_what_was_not_run_is_seen_as_such():
    """A cell without a timeline, a figure, and a word in the legend."""
    page = Page(without_evidence(ALL["broken off"]))
    assert ("class", "not-run") in page.attributes
    assert ("title", f"{ALL['broken off'].left_out[0].name}: not run") in page.attributes
    assert "not run 1" in page.text


@pytest.mark.parametrize(("name", "is_said"), [("sampled", True), ("broken off", False), ("valid", False)])
def test_a_page_of_a_sample_says_of_how_many_points_it_was_drawn(name, is_said):
    """Two of eight cells that are VALID are not all."""
    assert is_said == ("drawn 2 of 8 points" in Page(without_evidence(ALL[name])).text)


@pytest.mark.parametrize(("outcome", "is_said"), [(Outcome.VALID, True), (Outcome.INVALID, False)])
def test_notes_are_of_what_is_valid(outcome, is_said):
    """Of a resume that is wrong nobody asks what it does not show."""
    results = ALL["valid"]
    [case] = results.cases
    judged = msgspec.structs.replace(case, verdict=msgspec.structs.replace(case.verdict, outcome=outcome))
    text = Page(without_evidence(msgspec.structs.replace(results, cases=(judged,)))).text
    assert is_said == ("only epoch 0 was resumed in" in text)


def test_what_the_reason_has_said_is_not_said_again():
    """Of a violation that is about no batch only the place is left."""
    results = samples.fixed()
    [report] = results.cases[0].verdict.checks
    bare = msgspec.structs.replace(
        report.result.violations[0], expected=None, found=None, lost=(), extra=(), sentence="it is wrong"
    )
    result = msgspec.structs.replace(report.result, violations=(bare,))
    checks = (msgspec.structs.replace(report, result=result),)
    verdict = msgspec.structs.replace(results.cases[0].verdict, reason="it is wrong: why", checks=checks)
    case = msgspec.structs.replace(results.cases[0], verdict=verdict)
    text = Page(without_evidence(msgspec.structs.replace(results, cases=(case,)))).text
    assert ("The first difference" in text, text.count("it is wrong"), "i001-r0001-1.jsonl:8" in text) == (
        False,
        1,
        True,
    )


def test_many_violations_are_counted():
    """The page stays readable."""
    results = samples.fixed()
    [report] = results.cases[0].verdict.checks
    many = msgspec.structs.replace(report.result, violations=report.result.violations * (MAX_VIOLATIONS + 7))
    checks = (msgspec.structs.replace(report, result=many),)
    verdict = msgspec.structs.replace(results.cases[0].verdict, checks=checks)
    case = msgspec.structs.replace(results.cases[0], verdict=verdict)
    text = Page(without_evidence(msgspec.structs.replace(results, cases=(case,)))).text
    assert "and 6 more in verdict.json" in text


def test_an_empty_sweep_says_so():
    """No grid, no empty page."""
    assert "Nothing was judged." in Page(without_evidence(ALL["empty"])).text


@pytest.mark.parametrize("outcome", [Outcome.INVALID, Outcome.UNKNOWN])
def test_the_badge_has_the_colour_of_the_outcome(outcome):
    """Its class names it."""
    assert ("class", f"badge {outcome}") in Page(without_evidence(samples.hostile(outcome))).attributes


def test_a_fault_tells_what_was_seen_of_it():
    """Where, how it ended, and how long the restart took."""
    words = "5 steps done, at batch 4 of epoch 0; exit code 137; next batch after 0.50 s faulted/logs/i000/rank1.err"
    assert words in Page(without_evidence(ALL["fixed"])).text


def test_what_to_do_is_told_of_what_is_not_proved_too():
    """Also where there is no difference to show, and the cause alone says it."""
    [case] = ALL["unknown"].cases
    checks = tuple(
        msgspec.structs.replace(report, result=msgspec.structs.replace(report.result, violations=()))
        for report in case.verdict.checks
    )
    verdict = msgspec.structs.replace(case.verdict, checks=checks)
    changed = msgspec.structs.replace(ALL["unknown"], cases=(msgspec.structs.replace(case, verdict=verdict),))
    assert "To do name an earlier moment" in Page(without_evidence(changed)).text
