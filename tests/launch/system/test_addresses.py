from __future__ import annotations

import pytest

from resumable.launch.system.addresses import is_loopback


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("localhost", True),
        ("10.0.0.1", False),
        ("node0", False),
    ],
)
def test_what_lies_on_this_machine_alone(address: str, expected: bool) -> None:
    """A name may be anywhere; Debian's `127.0.1.1` is here."""
    assert expected == is_loopback(address)
