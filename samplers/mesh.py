"""Which share of the data a rank of a device mesh reads."""

from torch.distributed.device_mesh import DeviceMesh


def share_of(mesh: DeviceMesh) -> tuple[int, int]:
    """Return the number of shares, and this rank's.

    All dimensions of `mesh` are data-parallel: of a larger mesh, those are taken by name, as `mesh["dp"]` or
    `mesh["dp_replicate", "dp_shard"]`. Ranks that differ only in other dimensions (tensor, context, pipeline) have the same
    share.

    Raises:
        TypeError: it is no `DeviceMesh`.
        ValueError: this rank is not in it.
    """
    if not isinstance(mesh, DeviceMesh):
        raise TypeError(f"mesh={mesh!r}: expected a DeviceMesh, or some dimensions of one, as mesh['dp']")
    coordinates = mesh.get_coordinate()
    if coordinates is None:
        raise ValueError(f"mesh={mesh}: this rank is not in it")
    share = 0
    for dimension, coordinate in enumerate(coordinates):
        share = share * mesh.size(dimension) + coordinate
    return mesh.size(), share
