"""The page in a real browser, by what is on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.launch.report import samples, timelines
from tests.launch.report.browser import CHROMIUM, Tab, browser

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: the page's script is not tried"),
]

SHIFTED = samples.JOB.epoch(1, 0)
"""What rank 1 should train on in epoch 0; after its restart at step 4 it leaves out batch 4."""


@pytest.fixture(scope="module")
def shared_tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with browser(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One page of each kind."""
    folder = tmp_path_factory.mktemp("pages")
    made = {
        "invalid": timelines.page_of(timelines.run_of(samples.invalid(), folder / "invalid")),
        "valid": timelines.page_of(timelines.run_of(samples.valid(), folder / "valid")),
        "sweep": timelines.page_of(timelines.sweep_run(folder / "sweep")),
        "hostile": timelines.page_of(timelines.hostile_run(folder / "hostile")),
    }
    made["huge"] = timelines.with_data(made["invalid"], timelines.huge())
    for name, page in made.items():
        (folder / f"{name}.html").write_text(page)
    return folder


@pytest.fixture
def tab(shared_tab: Tab) -> Iterator[Tab]:
    """Whatever a test does with it, the page has no error, and asks for nothing."""
    shared_tab.errors.clear()
    yield shared_tab
    assert shared_tab.errors == []


def open_page(tab: Tab, pages: Path, name: str, state: str = "", **look: object) -> None:
    tab.open(f"{(pages / name).as_uri()}.html{state}", **look)


def selected(tab: Tab) -> str:
    return tab.text("#at-step tr.selected th")


def colors(tab: Tab) -> set[str]:
    """All colours that the canvas shows."""
    pixels = "canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.buffer"
    found = tab.value(
        "(() => { const canvas = document.querySelector('canvas');"
        f" return [...new Set(new Uint32Array({pixels}))].map((number) => number.toString(16)); }})()"
    )
    return set(found)


def has_color(tab: Tab, name: str) -> bool:
    """Whether the canvas shows a colour of the style sheet."""
    value = str(tab.value(f"getComputedStyle(document.getElementById('timeline')).getPropertyValue('--{name}').trim()"))
    red, green, blue = value[1:3], value[3:5], value[5:7]
    return f"ff{blue}{green}{red}" in colors(tab)


def test_a_failure_opens_at_its_first_difference(tab, pages):
    """The step at which the first rank differs is selected, in the process that differs."""
    open_page(tab, pages, "invalid")
    assert (tab.text("#at-step h3"), selected(tab)) == ("Step 4", "rank 1, incarnation 1")
    assert "0, 4" in tab.text("#at-step tr.selected")
    assert "done again, differs, parameters differ" in tab.text("#at-step tr.selected")


def test_expected_and_found_are_side_by_side(tab, pages):
    """Two columns at the same height."""
    open_page(tab, pages, "invalid")
    tops = tab.value("[...document.querySelectorAll('.side')].map((side) => side.getBoundingClientRect().top)")
    assert (len(tops), len(set(tops))) == (2, 1)
    assert (" ".join(map(str, SHIFTED[4])), " ".join(map(str, SHIFTED[5]))) == (
        tab.text(".side:first-child .cells"),
        tab.text(".side:last-child .cells"),
    )


def test_what_follows_is_folded_away(tab, pages):
    """It is on the page and not seen until it is opened."""
    open_page(tab, pages, "invalid")
    assert "exactly_once" in tab.text(".following summary")
    assert False is tab.value("document.querySelector('.following').open")


@pytest.mark.parametrize(
    ("state", "seen"),
    [
        pytest.param("#step=7", "Step 7", id="a step"),
        pytest.param("#step=900", "Step 900: nobody did it", id="beyond the end"),
        pytest.param("#view=time&step=7", "Step 7", id="by time"),
        pytest.param("#step=x&view=nonsense&from=9&to=2&rank=-1", "Step 4", id="no sense"),
        pytest.param("#case-99&step=3", "Step 3", id="a case that is not there"),
    ],
)
def test_a_state_in_the_address_is_shown(tab, pages, state, seen):
    """Whatever the address says, a page is shown; what makes sense of it is followed."""
    open_page(tab, pages, "invalid", state)
    assert seen == tab.text("#at-step h3")


def test_a_sample_is_seen_in_all_ranks_and_incarnations(tab, pages):
    """Batch 4 of rank 1 was received before the kill, left out after it, and stands in the reference."""
    sample = SHIFTED[4][0]
    open_page(tab, pages, "invalid", f"#step=4&sample={sample}")
    places = tab.value(
        "[...document.querySelectorAll('#of-sample tbody tr')].map((row) => [...row.cells].map((cell) => cell.innerText))"
    )
    expected = [["rank 1, reference", "4", "0, 4", "reference"], ["rank 1, incarnation 0", "4", "0, 4", "lost"]]
    assert expected == [place for place in places if place[2].startswith("0, ")]
    assert has_color(tab, "found")


def test_a_click_on_a_sample_searches_it(tab, pages):
    """The address says so too, so that it can be sent to somebody."""
    open_page(tab, pages, "invalid", "#step=4")
    tab.value("document.querySelector('#at-step .chip').click()")
    assert f"Sample {samples.JOB.epoch(0, 0)[4][0]}" in tab.text("#of-sample h3")
    assert f"sample={samples.JOB.epoch(0, 0)[4][0]}" in str(tab.value("location.hash"))


def place_of(tab: Tab, step: float, num_steps: int = 24) -> tuple[float, float]:
    """Where the first lane, rank 0's reference, shows a step, in a window that holds the whole page."""
    tab.look(width=1200, height=2000)
    x, y = tab.value(
        "(() => { const box = document.querySelector('canvas').getBoundingClientRect();"
        f" return [box.left + 94 + (box.width - 94 - 12) * {step} / {num_steps}, box.top + 24 + 5]; }})()"
    )
    return float(x), float(y)


def test_a_click_on_a_batch_selects_it(tab, pages):
    """In the canvas, where its box is."""
    open_page(tab, pages, "invalid", "#step=0")
    tab.click(*place_of(tab, 10.5))
    assert (tab.text("#at-step h3"), selected(tab)) == ("Step 10", "rank 0, reference")


def test_the_pointer_tells_what_lies_under_it(tab, pages):
    """Whose batch it is, and what became of it; nothing where nothing is."""
    open_page(tab, pages, "invalid", "#step=0")
    x, y = place_of(tab, 10.5)
    tab.hover(x, y)
    assert tab.text(".tip") == "rank 0, reference step 10, epoch 1, batch 2: reference"
    tab.hover(x, y - 200)
    assert tab.text(".tip") == ""


def test_a_drag_moves_what_is_shown_and_selects_nothing(tab, pages):
    """By as many steps as the hand has moved, and not beyond the beginning."""
    open_page(tab, pages, "invalid", "#step=0&from=12&to=18")
    x, y = place_of(tab, 12)
    width = tab.value("document.querySelector('canvas').getBoundingClientRect().width - 94 - 12")
    tab.drag(x, y, by=float(width) / 3)
    state = tab.value("parseState(location.hash)")
    assert (round(state["from"], 1), round(state["to"], 1), state["step"]) == (10.0, 16.0, 0)
    tab.drag(x, y, by=900)
    tab.drag(x, y, by=900)
    assert tab.value("parseState(location.hash).from") == 0


def test_the_keys_do_what_the_hand_does(tab, pages):
    """Steps, lanes, zoom, axis, and nothing selected."""
    open_page(tab, pages, "invalid", "#step=3&rank=1&life=1")
    tab.value("document.querySelector('.stage').focus()")
    tab.press("ArrowRight", "ArrowUp", "+", "t")
    assert tab.value("location.hash") == "#case-0&view=time&step=4&rank=1&life=0"
    assert (tab.text("#at-step h3"), tab.text("#at-step tr.selected th")) == ("Step 4", "rank 1, incarnation 0")
    tab.press("Escape")
    assert tab.text("#at-step") == ""


def test_zooming_by_keys_keeps_what_is_selected_in_sight(tab, pages):
    """It would be lost after the first keys if the middle of the window stayed where it is; keys outrun frames."""
    open_page(tab, pages, "invalid", "#step=20&rank=1&life=1")
    tab.value("document.querySelector('.stage').focus()")
    tab.press(*"++++++")
    state = tab.value("(({ from, to }) => ({ from, to }))(parseState(location.hash))")
    assert (state["from"] <= 20 < state["to"], state["to"] - state["from"] < 5) == (True, True), state


@pytest.mark.parametrize(
    ("state", "color", "is_there"),
    [
        ("", "differs", True),
        ("", "reference", True),
        ("", "link", True),
        ("#hide=reference", "reference", False),
        ("#hide=reference,saves", "link", False),
        ("#ranks=0", "differs", False),
        ("#ranks=0", "strays", True),
        ("#view=time", "differs", True),
    ],
)
@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
def test_filters_take_away_what_they_say(tab, pages, state, color, is_there, is_dark):
    """By the colours that the canvas shows, in light and dark."""
    open_page(tab, pages, "invalid", state, is_dark=is_dark)
    assert is_there == has_color(tab, color)


def test_only_what_differs_leaves_the_ranks_that_do(tab, pages):
    """Rank 0 has its own batches at every step."""
    open_page(tab, pages, "invalid", "#only=different&step=4")
    ranks = tab.value("[...document.querySelectorAll('#at-step tbody th')].map((cell) => cell.innerText.slice(0, 6))")
    assert {"rank 1"} == set(ranks)


def test_nothing_differs_in_a_valid_run(tab, pages):
    """What was done again is in its own colour, and none is in that of a difference."""
    open_page(tab, pages, "valid")
    assert [has_color(tab, name) for name in ("differs", "strays", "again")] == [False, False, True]


def test_a_narrow_window_needs_no_scrolling_sideways(tab, pages):
    """As on a telephone."""
    open_page(tab, pages, "invalid", width=380, height=700)
    assert tab.value("document.documentElement.scrollWidth") <= 380


def test_each_cell_of_a_sweep_opens_its_own_timeline(tab, pages):
    """The first that fails is open; a click on another closes it."""
    open_page(tab, pages, "sweep")
    opened = "[...document.querySelectorAll('.case')].filter((one) => !one.hidden).map((one) => one.id)"
    first = tab.value(opened)
    tab.value("document.querySelector('.grid td.valid a').click()")
    tab.settle()
    cell = tab.value("document.querySelector('.grid a[aria-current]').hash.slice(1)")
    assert (1, [cell]) == (len(first), tab.value(opened))
    assert first != [cell]
    assert True is tab.value("document.querySelector('.case:not([hidden]) canvas') !== null")


def test_on_paper_it_is_whole_and_light(tab, pages):
    """Whatever the screen shows: all ranks below each other, dark on white, and light or dark again afterwards."""
    open_page(tab, pages, "huge", is_dark=True, height=400)
    paper = "getComputedStyle(document.documentElement).getPropertyValue('--paper').trim()"
    height = "document.querySelector('canvas').height"
    before = tab.value(f"[{paper}, {height}]")
    tab.value("dispatchEvent(new Event('beforeprint'))")
    printed, is_white = tab.value(f"[{paper}, {height}]"), "ffffffff" in colors(tab)
    assert tab.pdf().startswith(b"%PDF")
    tab.value("dispatchEvent(new Event('afterprint'))")
    assert (printed[0], is_white, printed[1] > before[1]) == ("#ffffff", True, True)
    assert before == tab.value(f"[{paper}, {height}]")


def test_hostile_evidence_stays_text(tab, pages):
    """No element of it, no script of it, and no character that turns the text around."""
    open_page(tab, pages, "hostile")
    assert (tab.value("document.querySelectorAll('b1, img, iframe').length"), tab.value("window.broken ?? 0")) == (0, 0)
    assert timelines.VISIBLE in tab.text("#at-step") + tab.text("body")


COUNTING = """
(async () => {
  const counts = { painted: 0 }, frame = () => new Promise(requestAnimationFrame);
  for (const name of ['fillRect', 'strokeRect', 'stroke', 'fill', 'fillText']) {
    const own = CanvasRenderingContext2D.prototype[name];
    CanvasRenderingContext2D.prototype[name] = function (...all) { counts.painted += 1; return own.apply(this, all); };
  }
  const most = [];
  for (const zoom of ['fit', ...Array(14).fill('in'), ...Array(14).fill('out')]) {
    counts.painted = 0;
    document.querySelector(`[data-zoom=${zoom}]`).click();
    await frame();
    await frame();
    most.push(counts.painted);
  }
  return [Math.max(...most), document.querySelectorAll('*').length];
})()
"""


@pytest.mark.parametrize("state", ["#step=6300&rank=1&life=1", "#view=time&step=6300&rank=1&life=1"])
def test_what_is_drawn_does_not_grow_with_the_batches(tab, pages, state):
    """Of two hundred thousand a frame draws those that can be told apart, at every zoom, and no batch is an element: so it
    does not stall, on whatever machine."""
    open_page(tab, pages, "huge", state)
    painted, num_elements = tab.value(COUNTING)
    lanes, boxes_in_a_row = 24, 1200 / 3
    assert (painted < 4 * lanes * boxes_in_a_row, num_elements < 1000) == (True, True)
    assert "kept, differs" in tab.text("#at-step tr.selected")
