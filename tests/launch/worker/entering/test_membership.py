from __future__ import annotations

import threading
from pathlib import Path

import pytest
from torch.distributed import HashStore, Store  # type: ignore[attr-defined]

from resumable.launch.evidence.run_dir import ScenarioDir
from resumable.launch.worker.entering.membership import claim_number, draw_group, earlier_groups


@pytest.fixture
def folder(tmp_path: Path) -> ScenarioDir:
    made = ScenarioDir(root=tmp_path / "run")
    made.create()
    return made


def group_of(store: Store, num_ranks: int) -> list[str]:
    return [draw_group(store, rank) for rank in range(num_ranks)]


def test_ranks_of_a_group_draw_one_name() -> None:
    """In whatever order they come."""
    store = HashStore()
    assert len({draw_group(store, rank) for rank in (2, 0, 3, 1)}) == 1


def test_a_store_that_outlives_its_group_gives_the_next_one_a_new_name() -> None:
    """torch's agent hands the same store to the ranks of every round."""
    store = HashStore()
    names = [set(group_of(store, 3)) for _ in range(4)]
    assert [len(name) for name in names] == [1, 1, 1, 1]
    assert len(set.union(*names)) == 4


def test_a_group_that_grows_draws_one_name() -> None:
    """New ranks find their seats free in rows of groups that are over."""
    store = HashStore()
    first = group_of(store, 2)
    assert first[0] not in {draw_group(store, 0), draw_group(store, 1)}


def test_who_is_alone_has_a_name_of_its_own() -> None:
    """There is no store."""
    assert draw_group(None, 0) != draw_group(None, 0)


def test_a_number_is_taken_once(folder: ScenarioDir) -> None:
    """However many take one at the same time."""
    taken: list[int] = []
    threads = [
        threading.Thread(target=lambda n=n: taken.append(claim_number(folder, f"group-{n}", 1))) for n in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(16))


def test_earlier_groups_come_in_the_order_of_their_numbers(folder: ScenarioDir) -> None:
    """A number whose owner died before its line is nobody's."""
    for group in ("b", "a"):
        claim_number(folder, group, 2)
    folder.life_file(2).touch()
    claim_number(folder, "own", 2)
    assert list(earlier_groups(folder, "own")) == ["b", "a"]
