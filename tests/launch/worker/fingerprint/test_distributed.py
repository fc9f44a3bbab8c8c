from __future__ import annotations

import inspect
import math
import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection

import pytest
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Partial, Placement, Replicate, Shard, distribute_tensor
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
from torch.testing._internal.distributed.fake_pg import FakeStore

from resumable.launch.evidence.fingerprints import Fingerprint, merged
from resumable.launch.worker.fingerprint.states import state_fingerprint

pytestmark = pytest.mark.slow
Make = Callable[[DeviceMesh], object]
FORK = multiprocessing.get_context("fork")
needs_data_on_all_ranks = pytest.mark.skipif(
    "src_data_rank" not in inspect.signature(distribute_tensor).parameters,
    reason="this release of torch sends a tensor from rank 0 before it is split, and nobody answers here",
)


def on_rank(rank: int, sizes: tuple[int, ...], make: Make, is_whole: bool, answer: Connection) -> None:
    """This process as one rank of a group that never talks."""
    dist.init_process_group("fake", store=FakeStore(), rank=rank, world_size=math.prod(sizes))
    mesh = init_device_mesh("cpu", sizes, mesh_dim_names=("dp", "tp")[: len(sizes)])
    answer.send(state_fingerprint(make(mesh), is_whole=is_whole))


def on_all_ranks(sizes: tuple[int, ...], make: Make, *, is_whole: bool = True) -> Fingerprint:
    """Merged from the ranks of a mesh of these sizes, each a process of its own; the last one is asked."""
    fingerprints = []
    for rank in range(math.prod(sizes)):
        receiver, sender = FORK.Pipe(duplex=False)
        process = FORK.Process(target=on_rank, args=(rank, sizes, make, is_whole, sender))
        process.start()
        sender.close()
        fingerprints.append(receiver.recv())
        process.join()
    *others, own = fingerprints
    return merged(own, others)


def placed(tensor: torch.Tensor, placements: list[Placement]) -> Make:
    return lambda mesh: {"p": distribute_tensor(tensor, mesh, placements, src_data_rank=None)}


@needs_data_on_all_ranks
@pytest.mark.parametrize("is_whole", [True, False])
@pytest.mark.parametrize(
    ("sizes", "placements"),
    [
        ((1,), [Shard(0)]),
        ((4,), [Shard(0)]),
        ((4,), [Shard(1)]),
        ((7,), [Shard(0)]),
        ((3,), [Replicate()]),
        ((2, 2), [Shard(0), Shard(1)]),
        ((2, 3), [Shard(1), Shard(0)]),
        ((2, 2), [Replicate(), Shard(0)]),
        ((2, 2), [Shard(1), Replicate()]),
        ((2, 2), [Shard(0), Shard(0)]),
    ],
    ids=repr,
)
def test_a_distributed_tensor_has_the_fingerprint_of_the_whole_on_any_mesh(sizes, placements, is_whole) -> None:
    """Uneven shards, two dimensions, replicas: each element counts once."""
    tensor = torch.randn(13, 150, dtype=torch.float64).to(torch.bfloat16)
    expected = state_fingerprint({"p": tensor}, is_whole=is_whole)
    assert on_all_ranks(sizes, placed(tensor, placements), is_whole=is_whole) == expected


@needs_data_on_all_ranks
def test_more_ranks_than_rows_leave_some_with_nothing() -> None:
    """An empty shard adds nothing."""
    tensor = torch.randn(3, 5)
    found = on_all_ranks((8,), placed(tensor, [Shard(0)]))
    assert found == state_fingerprint({"p": tensor})


def network() -> torch.nn.Sequential:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(12, 10), torch.nn.Linear(10, 7))


def sharded(mesh: DeviceMesh) -> object:
    model = network()
    fully_shard(model, mesh=mesh)
    return dict(model.named_parameters())


@pytest.mark.parametrize("sizes", [(1,), (2,), (4,), (8,), (2, 2)], ids=repr)
def test_fsdp2_has_the_fingerprint_of_the_plain_module(sizes: tuple[int, ...]) -> None:
    """On any number of ranks, replicated groups of shards included."""
    assert on_all_ranks(sizes, sharded) == state_fingerprint(network().state_dict())


def in_two_ways(mesh: DeviceMesh) -> object:
    """Split by columns and rows within a node, and each part sharded over nodes."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(12, 10), torch.nn.Linear(10, 8))
    plan = {"0": ColwiseParallel(), "1": RowwiseParallel()}
    for parameter in model.parameters():  # the fake group sends nothing: each rank cuts out its own part
        parameter.requires_grad_(False)
    parallel = parallelize_module(model, mesh["tp"], plan, src_data_rank=None)
    fully_shard(parallel, mesh=mesh["dp"])
    return dict(parallel.named_parameters())


def plain() -> object:
    torch.manual_seed(0)
    return dict(torch.nn.Sequential(torch.nn.Linear(12, 10), torch.nn.Linear(10, 8)).named_parameters())


@needs_data_on_all_ranks
@pytest.mark.parametrize("sizes", [(1, 2), (2, 2), (3, 2), (2, 4)], ids=repr)
def test_a_module_that_is_split_in_two_ways_has_the_fingerprint_of_the_plain_one(sizes: tuple[int, ...]) -> None:
    """Tensor parallel within, fully sharded without: both may cut the same dimension."""
    assert on_all_ranks(sizes, in_two_ways) == state_fingerprint(plain())


def test_a_sum_that_is_not_yet_formed_is_opaque() -> None:
    """Nobody knows its elements."""

    def make(mesh: DeviceMesh) -> object:
        return {"p": DTensor.from_local(torch.ones(3), mesh, [Partial()], run_check=False)}

    one = on_all_ranks((2,), make)
    assert one.num_part == 0
