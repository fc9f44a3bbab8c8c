"""One array a node, whichever of its processes die, and an array of one's own where it cannot be had."""

import multiprocessing
import os
from functools import partial

import numpy as np
import pytest
import torch

from resumable.samplers import ResumableDistributedSampler
from resumable.samplers.orders import node_memory, randperm
from resumable.samplers.orders.node_memory import shared_on_node
from tests.samplers.ranks import run_ranks

NUM_ELEMENTS = 1000
WHOLE = np.arange(NUM_ELEMENTS, dtype=np.int32)
FOLDER = f"resumable-{os.geteuid()}"


def ask(memory, name="array", made=None):
    """Ask for the array, noting whether it was made here."""

    def make():
        (made if made is not None else []).append(name)
        return WHOLE.copy()

    return shared_on_node(name, NUM_ELEMENTS, np.int32, make, memory=memory)


def is_shared(array):
    return not array.flags.writeable


def _rank_asks(memory, rank):
    made = []
    array = ask(memory, made=made)
    torch.distributed.barrier()
    return len(made), is_shared(array), np.array_equal(WHOLE, array)


def test_of_several_ranks_one_makes_it_and_nothing_is_left_behind(tmp_path):
    """Each rank has all of it; the last that lets go unlinks it."""
    results = run_ranks(3, tmp_path / "store", partial(_rank_asks, tmp_path))
    assert sorted(results) == [(0, True, True), (0, True, True), (1, True, True)]
    assert list((tmp_path / FOLDER).iterdir()) == []


def _rank_reads(memory, rank):
    vars(randperm).update(shared_on_node=partial(shared_on_node, memory=memory), _MIN_NUM_SAMPLES_TO_SHARE=1000)
    sampler = ResumableDistributedSampler(range(2000), 2, rank, seed=7)
    samples = list(sampler)
    torch.distributed.barrier()
    return samples, [path.name for path in (memory / FOLDER).iterdir()]


def test_ranks_read_torchs_permutation_out_of_it(tmp_path):
    """The order is what it is without."""
    results = run_ranks(2, tmp_path / "store", partial(_rank_reads, tmp_path))
    permutation = torch.randperm(2000, generator=torch.Generator().manual_seed(7)).tolist()
    name = f"randperm-{torch.__version__}-2000-7"
    assert [(permutation[rank::2], [name]) for rank in range(2)] == results


def _makes_for_ever(memory, begun):
    def make():
        begun.send(True)
        begun.recv()

    shared_on_node("array", NUM_ELEMENTS, np.int32, make, memory=memory)


def _holds_for_ever(memory, begun):
    array = ask(memory)
    begun.send(is_shared(array))
    begun.recv()


def killed(target, memory):
    """Let a process come so far, and kill it; return what it has said."""
    context = multiprocessing.get_context("fork")
    mine, theirs = context.Pipe()
    process = context.Process(target=target, args=(memory, theirs))
    process.start()
    said = mine.recv()
    process.kill()
    process.join()
    return said


@pytest.mark.timeout(120)
def test_a_process_that_is_killed_while_it_makes_it_leaves_the_work_to_the_next(tmp_path):
    """The kernel takes its lock back."""
    made = []
    assert killed(_makes_for_ever, tmp_path)
    array = ask(tmp_path, made=made)
    assert (made, is_shared(array), array.tolist()) == (["array"], True, WHOLE.tolist())


@pytest.mark.timeout(120)
def test_what_killed_processes_leave_is_used_again_or_unlinked(tmp_path):
    """So there is never more of it than one job has left."""
    made = []
    assert killed(_holds_for_ever, tmp_path)
    first = ask(tmp_path, made=made)
    assert (made, is_shared(first)) == ([], True)
    del first
    assert killed(_holds_for_ever, tmp_path)
    other = ask(tmp_path, "other")
    assert is_shared(other)
    assert [path.name for path in (tmp_path / FOLDER).iterdir()] == ["other"]


def test_one_that_is_in_use_is_left_alone(tmp_path):
    """Whoever makes another one unlinks only what nobody holds."""
    first, other = ask(tmp_path), ask(tmp_path, "other")
    assert sorted(path.name for path in (tmp_path / FOLDER).iterdir()) == ["array", "other"]
    assert (first.tolist(), other.tolist()) == (WHOLE.tolist(), WHOLE.tolist())


@pytest.mark.parametrize("name", ["array", "array.new"])
def test_half_a_file_is_never_read(tmp_path, name):
    """Neither what a killed writer has left nor what somebody cut."""
    (tmp_path / FOLDER).mkdir(mode=0o700)
    (tmp_path / FOLDER / name).write_bytes(b"half")
    array = ask(tmp_path)
    assert (is_shared(array), array.tolist()) == (True, WHOLE.tolist())


def of_somebody_else(memory, monkeypatch):
    (memory / FOLDER).mkdir(mode=0o755)


def a_link(memory, monkeypatch):
    (memory / "elsewhere").mkdir(mode=0o700)
    (memory / FOLDER).symlink_to(memory / "elsewhere")


def no_folder_at_all(memory, monkeypatch):
    memory.rmdir()


def little_room(memory, monkeypatch):
    monkeypatch.setattr(node_memory, "_MIN_TIMES_FREE", 2**60)


def no_end_of_waiting(memory, monkeypatch):
    monkeypatch.setattr(node_memory, "_lock", lambda descriptor, kind: False)
    monkeypatch.setattr(node_memory, "_MAX_WAIT_S", 0.0)


@pytest.mark.parametrize("obstacle", [of_somebody_else, a_link, no_folder_at_all, little_room, no_end_of_waiting])
def test_where_it_cannot_be_shared_a_process_makes_its_own(tmp_path, monkeypatch, obstacle):
    """Nothing is read or written there, and it is made once."""
    memory = tmp_path / "memory"
    memory.mkdir()
    obstacle(memory, monkeypatch)
    made = []
    array = ask(memory, made=made)
    assert (made, is_shared(array), array.tolist()) == (["array"], False, WHOLE.tolist())
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
