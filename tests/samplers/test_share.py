"""Which positions a rank reads."""

from hypothesis import given
from hypothesis import strategies as st

from resumable.samplers.share import Share

shares = st.integers(1, 60).flatmap(
    lambda size: st.fixed_dictionaries(
        {
            "num_samples": st.just(size),
            "start": st.integers(0, size),
            "num_replicas": st.integers(1, 8),
            "batch_size": st.integers(1, 8),
            "drop_last": st.sampled_from([False, True, "global"]),
            "whole_batches": st.booleans(),
        }
    )
)


def ranks(**arguments):
    return [Share(rank=rank, **arguments) for rank in range(arguments["num_replicas"])]


@given(arguments=shares)
def test_the_ranks_together_read_a_run_of_positions_without_a_hole(arguments):
    """Row by row the ranks' positions follow each other, from the start on."""
    rows = zip(*(share.positions(0, share.num_rows) for share in ranks(**arguments)), strict=True)
    read = [position for row in rows for position in row]
    assert list(range(arguments["start"], arguments["start"] + len(read))) == read


@given(arguments=shares)
def test_padding_is_at_most_one_sample_a_rank_and_the_last(arguments):
    """`num_padding` counts the positions beyond the end, and only a last one can be."""
    for share in ranks(**arguments):
        beyond = [position >= share.num_samples for position in share.positions(0, share.num_rows)]
        assert share.num_padding == sum(beyond) == sum(beyond[-1:])


@given(arguments=shares)
def test_only_an_incomplete_row_or_batch_is_dropped(arguments):
    """What is not dealt out is less than a row, or than a global batch where batches must be full."""
    share, *_ = ranks(**arguments)
    left = share.num_samples - share.start - share.num_rows * share.num_replicas
    batch = share.batch_size if share.whole_batches or share.drop_last == "global" else 1
    assert left < share.num_replicas * batch
    assert share.num_rows % batch == 0


@given(arguments=shares.filter(lambda arguments: arguments["num_samples"] > arguments["start"]))
def test_the_last_row_takes_everything_that_is_left(arguments):
    """A rank that has read all of its rows stands at the end, with padding not counted and a dropped tail over."""
    share, *_ = ranks(**arguments)
    expected = [share.start + row * share.num_replicas for row in range(share.num_rows)] + [share.num_samples]
    assert expected == [share.consumed(row) for row in range(share.num_rows + 1)]
