import pytest

from resumable.launch.report.batches import marked_difference, shortened


@pytest.mark.parametrize(
    ("expected", "found", "lines"),
    [
        ([1, 22, 3], [1, 7, 3], ["expected 1 22 3", "found    1  7 3", "           ^^"]),
        ([1, 2], [1], ["expected 1 2", "found    1 -", "           ^"]),
        ([], [5], ["expected -", "found    5", "         ^"]),
        (["a"], ["bc"], ["expected  a", "found    bc", "         ^^"]),
        ([1], [1], ["expected 1", "found    1"]),
        ([], [], ["expected nothing", "found    nothing"]),
    ],
)
def test_the_first_difference_is_marked(expected, found, lines):
    """Both rows stand above each other with a mark under the first place where they differ."""
    assert lines == marked_difference(expected, found, width=80)


@pytest.mark.parametrize("place", [0, 3, 100, 498, 499])
@pytest.mark.parametrize("width", [40, 76])
def test_long_batches_are_shortened_around_the_difference(place, width):
    """Each line fits the width, and the mark stands under the differing index."""
    expected = list(range(1000, 1500))
    found = [*expected[:place], 9999, *expected[place + 1 :]]
    top, bottom, mark = marked_difference(expected, found, width)
    assert width >= max(len(top), len(bottom), len(mark))
    column = mark.index("^")
    assert (str(expected[place]), "9999", "^^^^") == (
        top[column : column + 4],
        bottom[column : column + 4],
        mark[column:],
    )


def test_a_digest_is_shortened():
    """Nobody reads 32 digits; a name of that length with other letters is a name."""
    digests = ["d7742343dc5ce900a21ba724a690f408", "91958db5e9b998c8ea7ce0bb588473a4"]
    assert marked_difference(digests[:1], digests[1:], width=80) == [
        "expected d7742343",
        "found    91958db5",
        "         ^^^^^^^^",
    ]
    assert f"{digests[0]}.jpg d7742343" == shortened([f"{digests[0]}.jpg", digests[0]])


def test_a_list_of_samples_is_cut_and_counted():
    """The first dozen, and how many more."""
    assert shortened(range(20)) == "0 1 2 3 4 5 6 7 8 9 10 11 and 8 more"
