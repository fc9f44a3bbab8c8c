"""Every private name of torch, the frameworks and Python that is used inside a rank; no other module here uses one.

A release may take any of them away: `PRIVATE_NAMES` lists them, and a test says which the installed versions lack.
"""

from __future__ import annotations

import atexit
import sys
import threading
import weakref
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from multiprocessing import synchronize
from operator import attrgetter
from types import CodeType, ModuleType
from typing import Any

import torch
import torch.distributed as dist
from torch._C._dynamo.eval_frame import get_eval_frame_callback
from torch._C._functorch import get_unwrapped, is_functorch_wrapped_tensor
from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack
from torch.distributed import distributed_c10d
from torch.utils.data import dataloader

PRIVATE_NAMES = {
    "accelerate.data_loader": ("DataLoaderShard",),
    "atexit": ("_run_exitfuncs",),
    "lightning.pytorch.loops.fetchers": ("_PrefetchDataFetcher",),
    "multiprocessing.synchronize": ("Event",),
    "ray.air._internal.util": ("RunnerThread",),
    "ray.train.v2._internal.execution.worker_group.thread_runner": ("ThreadRunner",),
    "threading": ("_shutdown",),
    "torch:Tensor": ("_version",),
    "torch:UntypedStorage": ("_cdata",),
    "torch._C._dynamo.eval_frame": ("get_eval_frame_callback",),
    "torch._C._functorch": ("get_unwrapped", "is_functorch_wrapped_tensor"),
    "torch._functorch.pyfunctorch": ("temporarily_clear_interpreter_stack",),
    "torch._dynamo.eval_frame": ("skip_code",),
    "torch._dynamo.eval_frame:OptimizedModule": ("_orig_mod",),
    "torch.distributed:Reducer": ("_rebuild_buckets",),
    "torch.distributed.algorithms._checkpoint.checkpoint_wrapper:CheckpointWrapper": ("_checkpoint_wrapped_module",),
    "torch.distributed.checkpoint.filesystem": ("_write_files_from_queue",),
    "torch.distributed.checkpoint.state_dict_saver": ("_save_state_dict",),
    "torch.distributed.distributed_c10d": ("_get_default_store", "_world"),
    "torch.distributed.distributed_c10d:_World": ("pg_map",),
    "torch.distributed.fsdp:FullyShardedDataParallel": ("_fsdp_wrapped_module",),
    "torch.nn:Module": ("_buffers", "_modules", "_non_persistent_buffers_set", "_parameters"),
    "torch.distributed.tensor:DTensor": ("_local_tensor",),
    "torch.utils.data:DataLoader": ("_dataset_kind",),
    "torch.utils.data.dataloader": ("_BaseDataLoaderIter", "_DatasetKind", "_MultiProcessingDataLoaderIter"),
    "torch.utils.data.dataloader:_BaseDataLoaderIter": (
        "_auto_collation",
        "_dataset",
        "_dataset_kind",
        "_next_index",
        "_reset",
    ),
    "torch.utils.data.dataloader:_DatasetKind": ("Iterable",),
    "torch.utils.data.dataloader:_MultiProcessingDataLoaderIter": (
        "_send_idx",
        "_task_info",
        "_try_put_index",
        "_workers",
    ),
    "torchdata.stateful_dataloader.stateful_dataloader": (
        "_StatefulMultiProcessingDataLoaderIter",
        "_StatefulSingleProcessDataLoaderIter",
    ),
    "torchdata.stateful_dataloader.stateful_dataloader:_StatefulMultiProcessingDataLoaderIter": (
        "_send_idx",
        "_task_info",
        "_try_put_index",
        "_workers",
    ),
    "weakref:finalize": ("_registry",),
}
"""Names by their owner, as `pkgutil.resolve_name` takes it; of a class also attributes that its methods set."""

LoaderIterator = dataloader._BaseDataLoaderIter
"""Iterators of torch's DataLoader, of torchdata's too."""
WorkersIterator = dataloader._MultiProcessingDataLoaderIter
NEXT_INDEX, RESET, TRY_PUT_INDEX = "_next_index", "_reset", "_try_put_index"
"""Methods of theirs: draw the indices of a batch; begin a pass; give a batch to a loader worker."""
COMPILER = "torch._dynamo"
"""The module that brings `torch.compile`; it takes seconds to import."""
RAY_RUNNERS = {
    "ray.air._internal.util": "RunnerThread.__init__",
    "ray.train.v2._internal.execution.worker_group.thread_runner": "ThreadRunner.run",
}
"""What takes the training function in a worker of Ray Train and runs it in a thread, of its first version and its second."""
REBUILD_BUCKETS = "_rebuild_buckets"
"""Method of DDP's reducer: lays out again which gradients are added together."""
SAVE_STATE_DICT = "_save_state_dict"
"""What `torch.distributed.checkpoint.save` calls once it is known who writes."""
LOAD_STATE_DICT = "_load_state_dict"
"""What `torch.distributed.checkpoint.load` fills, with the states of objects that have any in their places."""
STATES_OF_OBJECTS = "_stateful_to_state_dict"
"""What `torch.distributed.checkpoint.save` makes of what it is given: the states of objects that have any."""
WRITE_FILES = "_write_files_from_queue"
"""What each thread of its storage does."""
WRAPPED_MODULES = frozenset({"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
"""Names by which torch's wrappers hold what they wrap. A model may be wrapped after a restart on one rank and not on two."""


def is_iterable(loader: Any) -> bool:
    """Whether the data set of a loader, or of its iterator, is one without indices."""
    return bool(loader._dataset_kind == dataloader._DatasetKind.Iterable)


def dataset_of(iterator: Any) -> Any:
    """The data set that a loader's iterator reads."""
    return iterator._dataset


def collates(iterator: Any) -> bool:
    """Whether it makes a batch of the samples of many indices, and not of one."""
    return bool(iterator._auto_collation)


def next_task(iterator: Any) -> int:
    """Number of the batch that goes to a loader worker next."""
    number: int = iterator._send_idx
    return number


def open_tasks(iterator: Any) -> Container[int]:
    """Numbers of the batches that loader workers have been asked for and that were not delivered yet."""
    tasks: Container[int] = iterator._task_info
    return tasks


def worker_pids_of(iterator: Any) -> list[int]:
    """The loader workers of an iterator."""
    return [worker.pid for worker in getattr(iterator, "_workers", ())]


def torchdata_iterators(module: ModuleType) -> tuple[type, type]:
    """torchdata's own iterators, without and with loader workers."""
    return module._StatefulSingleProcessDataLoaderIter, module._StatefulMultiProcessingDataLoaderIter


def prefetching_fetcher(module: ModuleType) -> type:
    """Lightning's iterator around one or more loaders."""
    fetcher: type = module._PrefetchDataFetcher
    return fetcher


def seen_through(tensor: torch.Tensor) -> torch.Tensor:
    """What transforms of `torch.func` (`grad`, `vmap`, `jvp`) have wrapped; the tensor itself where none has."""
    while is_functorch_wrapped_tensor(tensor):
        tensor = get_unwrapped(tensor)
    return tensor


def outside_of_transforms() -> AbstractContextManager[Any]:
    """Where calls are wrapped by no transform of `torch.func`, though one is going on."""
    context: AbstractContextManager[Any] = temporarily_clear_interpreter_stack()
    return context


def is_made(module: torch.nn.Module) -> bool:
    """Whether its construction has come as far as its having parts."""
    return "_modules" in vars(module)


def own_parameters(module: torch.nn.Module) -> Iterator[tuple[str, torch.nn.Parameter]]:
    """Those of the module itself with their names there."""
    return ((name, parameter) for name, parameter in module._parameters.items() if parameter is not None)


def buffers_of(module: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Buffers of the module itself that its `state_dict()` holds, with their names there."""
    for name, buffer in module._buffers.items():
        if buffer is not None and name not in module._non_persistent_buffers_set:
            yield name, buffer


def unsaved_buffers_of(module: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Buffers of the module itself that its `state_dict()` leaves out, with their names there."""
    for name, buffer in module._buffers.items():
        if buffer is not None and name in module._non_persistent_buffers_set:
            yield name, buffer


def children_of(module: torch.nn.Module) -> Iterator[tuple[str, torch.nn.Module]]:
    """Modules that are parts of it, with their names there; the same one perhaps several times."""
    return ((name, child) for name, child in module._modules.items() if child is not None)


def local_tensor(tensor: torch.Tensor) -> torch.Tensor:
    """The memory of this process behind a tensor, without the cost of asking a `DTensor` for it."""
    if type(tensor) is torch.Tensor:
        return tensor
    local: torch.Tensor = getattr(tensor, "_local_tensor", tensor)
    return local


def partition_of(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer | None:
    """What works inside a `ZeroRedundancyOptimizer`: the optimizer of this rank's part of the parameters."""
    module = sys.modules.get("torch.distributed.optim.zero_redundancy_optimizer")
    if module is None or not isinstance(optimizer, module.ZeroRedundancyOptimizer):
        return None
    part: torch.optim.Optimizer | None = getattr(optimizer, "optim", None)
    return part


all_buffers_of: Callable[[torch.nn.Module], Mapping[str, torch.Tensor | None]] = attrgetter("_buffers")
"""All buffers that the module itself has now, by name."""
compiler_of_frames: Callable[[], object] = get_eval_frame_callback
"""Not None while this thread is within what `torch.compile` was asked to compile: it then compiles frames that it meets."""
version_of: Callable[[torch.Tensor], int] = attrgetter("_version")
"""Goes up with each change in place."""
storage_key: Callable[[torch.UntypedStorage], int] = attrgetter("_cdata")
"""What distinguishes it from all others that exist, and from those that are gone while a weak reference is kept."""


def process_groups() -> Iterable[dist.ProcessGroup]:
    """Every process group that this process has now."""
    return distributed_c10d._world.pg_map


def default_store() -> dist.Store:
    """The store by which the ranks of the default process group found each other."""
    return distributed_c10d._get_default_store()


def skip_frames_of(function: Callable[..., Any]) -> None:
    """Have `torch.compile`, which must be imported, compile none of the function's frames; it may those of what it calls."""
    from torch._dynamo.eval_frame import skip_code  # noqa: PLC0415 - with it comes the compiler, which a job may never need

    skip_code(function.__code__)


def await_threads() -> None:
    """Wait for the threads that the script has started, executors' pending work included, as the interpreter does."""
    threading._shutdown()  # type: ignore[attr-defined]


def run_exit_handlers() -> None:
    """Call what was registered with `atexit`, as the interpreter does at its end."""
    atexit._run_exitfuncs()


def finalizers() -> list[weakref.finalize[..., Any]]:
    """All of this process: torch has thousands of them."""
    return list(weakref.finalize._registry)  # type: ignore[attr-defined]


def wait_of_event() -> CodeType:
    """What runs while a process waits for a `multiprocessing.Event`."""
    return synchronize.Event.wait.__code__
