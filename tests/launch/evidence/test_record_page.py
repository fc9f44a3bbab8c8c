from __future__ import annotations

from tests.record_page import PAGE, page


def test_the_page_describes_every_record_and_field() -> None:
    """Whoever changes a record renews the page: `python -m tests.record_page`."""
    expected = page()
    assert expected == PAGE.read_text()
