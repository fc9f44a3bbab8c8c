from __future__ import annotations

import inspect
import time

import pytest
from torch.distributed.elastic.rendezvous import RendezvousParameters, dynamic_rendezvous, rendezvous_handler_registry

from resumable.launch.node import rendezvous
from resumable.launch.node.torch_private import poll_every


@pytest.fixture(autouse=True)
def as_torch_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a registration changes in torch is put back."""
    for name in ("get_method_name", "_delay"):
        monkeypatch.setattr(dynamic_rendezvous, name, getattr(dynamic_rendezvous, name))
    monkeypatch.setattr(rendezvous_handler_registry, "_registry", {})


def record() -> str:
    """Stands for torch's `_record`, which asks for the name of its own caller."""
    return dynamic_rendezvous.get_method_name()


def test_torch_learns_the_name_of_a_caller_without_reading_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is the one that torch would find, but no stack is walked for it."""
    expected = record()
    monkeypatch.setattr(inspect, "stack", None)
    rendezvous.register()
    assert expected == record()


def test_near_nodes_look_at_the_rendezvous_more_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch waits as long as it was told before it looks again, and not at all before it looks at first."""
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    poll_every(0.02)
    dynamic_rendezvous._delay(seconds=1)
    dynamic_rendezvous._delay(seconds=(0, 0.3))
    assert waited == [0.02]


def test_nodes_with_ranks_are_sorted_by_them() -> None:
    """Whatever their addresses are; torch sorts by the text."""
    names = [
        rendezvous._named_by_rank(
            RendezvousParameters("b", "", "job", 1, 9, local_addr=address, node_rank=rank)
        ).local_addr
        for rank, address in ((0, "c"), (2, "b"), (10, "a"))
    ]
    assert names == sorted(names, key=str)


def test_nodes_without_ranks_keep_their_addresses() -> None:
    """Torch sorts them as it always does."""
    parameters = RendezvousParameters("b", "", "job", 1, 9, local_addr="b")
    assert rendezvous._named_by_rank(parameters) is parameters
