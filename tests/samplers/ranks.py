"""Real ranks for tests that need a process group."""

import multiprocessing
import os
import traceback
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist


def run_ranks(num_ranks: int, store: Path, function: Callable[[int], Any]) -> list[Any]:
    """Call `function(rank)` in as many forked processes with a gloo group, and give what they return, rank by rank.

    An exception on a rank fails the test and ends the other ranks, which may wait for that one.
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
    try:
        return _results([reader for reader, _ in ends])
    except BaseException:
        for process in processes:
            process.kill()
        raise
    finally:
        for process in processes:
            process.join()


def refusals(num_ranks: int, store: Path, function: Callable[[int], Any]) -> list[str]:
    """Call `function(rank)` likewise where it is to raise, and give the exceptions as text, rank by rank."""
    return run_ranks(num_ranks, store, partial(_refusal, function))


def _results(readers: list[Connection]) -> list[Any]:
    results: dict[Connection, Any] = {}
    waiting = list(readers)
    while waiting:
        for reader in wait(waiting):
            assert isinstance(reader, Connection)
            waiting.remove(reader)
            results[reader], failure = reader.recv()
            if failure is not None:
                pytest.fail(f"rank {readers.index(reader)}: {failure}")
    return [results[reader] for reader in readers]


def _refusal(function: Callable[[int], Any], rank: int) -> str:
    try:
        function(rank)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    raise AssertionError("nothing was refused")


def _rank(rank: int, num_ranks: int, store: Path, function: Callable[[int], Any], results: Connection) -> None:
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", world_size=num_ranks, rank=rank)
    try:
        result = function(rank), None
    except Exception:
        result = None, traceback.format_exc()
    else:
        dist.barrier()
    results.send(result)
    dist.destroy_process_group()
