import pytest

from resumable.launch.api.mark import marked_points


@pytest.mark.parametrize(
    ("mark", "ids"),
    [
        ({"at": "7,20", "ranks": "0"}, ["sigkill-step7-rank0", "sigkill-step20-rank0"]),
        ({"at": [3], "ranks": "all"}, ["sigkill-step3-rank0+1"]),
        ({"at": "save#1+during", "ranks": "0"}, ["sigkill-save1+during-rank0"]),
        ({"at": "epoch=1,batch=3", "ranks": "1"}, ["sigkill-epoch1-batch3-rank1"]),
        ({"at": "save#1", "ranks": "0", "kinds": "torn(keep=0.5)"}, ["torn-keep0.5-save1+after-rank0"]),
        ({"at": "every:5"}, ["every-5"]),
    ],
)
def test_ids_have_words_that_pytest_can_choose(mark: dict[str, object], ids: list[str]) -> None:
    """Letters, figures, `.`, `+` and `-`: neither `-k` nor a shell reads anything else into them."""
    assert ids == [point.test_id for point in marked_points(mark)]
