"""Where nodes meet, or cannot."""

from __future__ import annotations

import pytest

from resumable.launch.cluster import store
from resumable.launch.errors import NodeError, UsageError


@pytest.mark.parametrize(
    ("port", "kind", "said"),
    [(29500, UsageError, "--master-port 29500: the port is taken"), (0, NodeError, "is its network up?")],
)
def test_a_port_that_was_named_is_taken_and_any_other_cannot_be(
    port: int, kind: type[Exception], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no free one can be listened on, as in a network namespace without its loopback, no flag is to blame."""

    def refuse(address: str, port: int) -> None:
        raise RuntimeError(f"{address}:{port}")

    monkeypatch.setattr(store, "open_store", refuse)
    with pytest.raises(kind) as refused:
        store.host_store("127.0.0.1", port)
    assert said in str(refused.value)
