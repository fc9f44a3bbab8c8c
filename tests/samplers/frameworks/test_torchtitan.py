"""A loader as torchtitan wants it: through a distributed checkpoint onto another data-parallel degree."""

import pytest
import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.stateful import Stateful
from torch.distributed.device_mesh import init_device_mesh

from resumable.samplers import StateMismatchError
from resumable.samplers.frameworks.torchtitan_adapter import DataParallelLoader
from tests.samplers.ranks import run_ranks

pytestmark = pytest.mark.slow
DATA = torch.arange(100.0)


def batches(loader, num_batches):
    """What a loop is handed, without beginning a pass for more."""
    iterator = iter(loader)
    return [next(iterator).tolist() for _ in range(num_batches)]


def on_mesh(shape, batch_size, num_batches, folder, *, load):
    """Each rank of a (data, tensor) parallel mesh reads, and saves at the end."""

    def read(_):
        mesh = init_device_mesh("cpu", shape, mesh_dim_names=("dp", "tp"))
        rank, degree = mesh["dp"].get_local_rank(), mesh["dp"].size()
        loader = DataParallelLoader(DATA, rank, degree, batch_size, seed=5, num_workers=2)
        if load:
            dcp.load({"dataloader": loader}, checkpoint_id=folder / "checkpoint")
        seen = batches(loader, num_batches)
        if not load:
            dcp.save({"dataloader": loader}, checkpoint_id=folder / "checkpoint")
        dist.barrier()
        return rank, seen

    return run_ranks(shape[0] * shape[1], folder / f"store{shape}", read)


@pytest.mark.parametrize(
    ("shape", "batch_size"), [((4, 1), 2), ((2, 2), 4), ((3, 1), 3)], ids=["W*B kept", "as before", "W*B changed"]
)
def test_another_degree_goes_on_where_the_checkpoint_stands(tmp_path, shape, batch_size):
    """Each sample in the order of the stream, over the border of what were epochs; ranks of one model read the same."""
    alone = DataParallelLoader(DATA, 0, 1, 1, seed=5)
    stream = [sample for [sample] in batches(alone, 300)]
    before = on_mesh((2, 2), 4, 5, tmp_path, load=False)
    after = on_mesh(shape, batch_size, 20, tmp_path, load=True)
    assert taken(before, 2) + taken(after, shape[0]) == stream[: 40 + 20 * shape[0] * batch_size]


def taken(ranks, degree):
    """What all coordinates have read, in the order of the stream."""
    by_coordinate = [{str(seen) for rank, seen in ranks if rank == coordinate} for coordinate in range(degree)]
    assert {len(found) for found in by_coordinate} == {1}
    shares = [next(seen for rank, seen in ranks if rank == coordinate) for coordinate in range(degree)]
    flat = [[sample for batch in share for sample in batch] for share in shares]
    return [sample for row in zip(*flat, strict=True) for sample in row]


def test_it_is_what_a_checkpoint_takes():
    """torch's own protocol, and a state of a different order is refused."""
    loader = DataParallelLoader(DATA, 0, 2, 4, seed=5)
    other = DataParallelLoader(DATA, 0, 2, 4, seed=6)
    with pytest.raises(StateMismatchError, match=r"stream\.seed"):
        other.load_state_dict(loader.state_dict())
    assert isinstance(loader, Stateful)
