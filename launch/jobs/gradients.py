"""How the ranks average their gradients."""

import torch
import torch.distributed as dist
from torch import Tensor


def mean_in_any_layout(
    _state: object,
    bucket: dist.GradBucket,  # type: ignore[name-defined] # torch asks for this name and does not declare it
) -> torch.futures.Future[Tensor]:
    """Average gradients as doubles, so that where they lie in DDP's bucket changes no bit of them.

    DDP lays its buckets out anew after a process's first step, and the layout decides in which order four ranks' floats
    are summed: summed as floats, the first step after a restart would round otherwise.
    """
    wide = bucket.buffer().double()
    dist.all_reduce(wide)
    mean = torch.futures.Future[Tensor]()
    mean.set_result((wide / dist.get_world_size()).to(bucket.buffer().dtype))
    return mean
