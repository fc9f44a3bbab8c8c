"""Jobs that do all of it, in an order that nobody has thought of; `python -m tests.samplers.histories` runs many more."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.samplers.histories import History


@pytest.mark.filterwarnings("ignore:the stream is amended from here on")
@settings(max_examples=30)
@given(draws=st.randoms(use_true_random=False))
def test_a_job_reads_what_lists_say_it_reads(draws):
    """Whatever becomes of it, batch after batch; each of its states is what the oracle says, and is taken up again."""
    History(draws).run()
