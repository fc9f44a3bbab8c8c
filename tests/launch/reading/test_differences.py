from hypothesis import given
from hypothesis import strategies as st

from resumable.launch.reading.differences import first_difference

LISTS = st.lists(st.integers(0, 3), max_size=6)


@given(LISTS, LISTS)
def test_everything_before_the_first_difference_is_equal(one: list[int], other: list[int]) -> None:
    """And at it the two are not; None is given for equal sequences alone."""
    place = first_difference(one, other)
    if place is None:
        assert one == other
    else:
        assert one[:place] == other[:place]
        assert one[place : place + 1] != other[place : place + 1]
