import msgspec
import pytest

from resumable.launch.judge.results import Span
from resumable.launch.report.chart import chart_of
from tests.launch.report import samples


def case_of(*spans: Span):
    return msgspec.structs.replace(samples.fixed().cases[0], spans=spans)


def span(**changes: object) -> Span:
    whole = Span(rank=0, incarnation=0, first_step=0, num_steps=8, num_kept=5, num_replayed=0, end="fault")
    return msgspec.structs.replace(whole, **changes)


def test_a_bar_has_the_steps_as_its_width():
    """Of ten steps, the first life did eight and lost three; the second did those again and two more."""
    again = span(incarnation=1, first_step=5, num_steps=5, num_kept=5, num_replayed=3, end="finished")
    chart = chart_of(case_of(span(), again))
    bars = [(bar.left, bar.replayed, bar.new, bar.lost, bar.is_resumed) for bar in chart.lanes[0].bars]
    assert bars == [(0, 0, 50, 30, False), (50, 30, 20, 0, True)]


def test_steps_that_were_replayed_and_lost_again_count_as_lost():
    """A second restart may throw away even what the first did again; parts never exceed the bar."""
    [lane] = chart_of(case_of(span(num_replayed=6, num_kept=2))).lanes
    [bar] = lane.bars
    assert (bar.replayed, bar.new, bar.lost) == (25, 0, 75)


def test_each_rank_has_a_lane():
    """In order, whatever the order of the spans."""
    chart = chart_of(case_of(span(rank=10), span(rank=2), span(rank=0)))
    assert [lane.rank for lane in chart.lanes] == [0, 2, 10]


@pytest.mark.parametrize("spans", [(), (span(num_steps=0, num_kept=0),)])
def test_nothing_trained_on_is_no_chart(spans):
    """A job that died before its first step."""
    assert chart_of(case_of(*spans)).lanes == ()


@pytest.mark.parametrize(
    ("num_steps", "steps"),
    [(8, [0, 1, 2, 3, 4, 5, 6, 7, 8]), (40, [0, 5, 10, 15, 20, 25, 30, 35, 40]), (110, [0, 20, 40, 60, 80, 100])],
)
def test_ticks_are_round_and_few(num_steps, steps):
    """1, 2 or 5 times a power of ten apart."""
    assert steps == [tick.step for tick in chart_of(case_of(span(num_steps=num_steps))).ticks]


def test_a_process_that_did_no_step_is_told_in_words():
    """It was killed while it loaded its checkpoint."""
    [lane] = chart_of(case_of(span(), span(incarnation=1, num_steps=0, num_kept=0, end="ended"))).lanes
    assert lane.bars[1].title == "rank 0, incarnation 1: no step done, ended"
