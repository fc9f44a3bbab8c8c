"""Real ranks for tests that need a process group."""

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist


def run_ranks(num_ranks: int, store: Path, function: Callable[[int], Any]) -> list[Any]:
    """Call `function(rank)` in as many forked processes with a gloo group, and give what they return, rank by rank.

    An exception is returned in its rank's place as its text.
    """
    context = multiprocessing.get_context("fork")
    ends = [context.Pipe(duplex=False) for _ in range(num_ranks)]
    processes = [
        context.Process(target=_rank, args=(rank, num_ranks, store, function, writer))
        for rank, (_, writer) in enumerate(ends)
    ]
    for process in processes:
        process.start()
    for _, writer in ends:
        # Else the end of a rank that dies would not be seen.
        writer.close()
    results = [reader.recv() for reader, _ in ends]
    for process in processes:
        process.join()
    return results


def _rank(rank: int, num_ranks: int, store: Path, function: Callable[[int], Any], results: Connection) -> None:
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", world_size=num_ranks, rank=rank)
    try:
        result = function(rank)
    except Exception as error:
        result = f"{type(error).__name__}: {error}"
    dist.barrier()
    results.send(result)
    dist.destroy_process_group()
