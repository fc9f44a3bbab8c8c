import pytest

from resumable.launch.system.wording import counted, listed, place


@pytest.mark.parametrize(
    ("num", "noun", "expected"),
    [(1, "batch", "1 batch"), (0, "rank", "0 ranks"), (2, "batch", "2 batches"), (3, "process", "3 processes")],
)
def test_a_number_and_its_noun_agree(num: int, noun: str, expected: str) -> None:
    """English plurals of the nouns in use."""
    assert expected == counted(num, noun)


@pytest.mark.parametrize(("values", "expected"), [([1], "1"), ([1, 2], "1 and 2"), (["a", "b", "c"], "a, b and c")])
def test_the_last_of_a_list_follows_an_and(values: list[object], expected: str) -> None:
    """As a person would write it."""
    assert expected == listed(values)


@pytest.mark.parametrize(("line", "expected"), [(None, "a.py"), (7, "a.py:7")])
def test_a_place_can_be_copied_into_an_editor(line: int | None, expected: str) -> None:
    """`file:line`, without blanks."""
    assert expected == place("a.py", line)
