"""One measurement: a contender at one size, in a process of its own."""

import multiprocessing
import time
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from tests.benchmarks.samplers.contenders import BATCH_SIZE, Contender

MAX_NUM_TAKEN = 2_000_000
"""A rank's epoch is read to its end or up to this many samples."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What a contender took."""

    contender: str
    unit: str
    num_samples: int
    num_ranks: int
    first_s: float
    """From nothing to the first sample or batch."""
    seek_s: float
    """From nothing to the first sample or batch of the epoch's second half."""
    samples_per_s: float
    """Of one rank, over its epoch, from nothing on."""
    peak_bytes: int
    """Growth of the process's resident memory, up to its peak, until that epoch was read."""


def measured(contender: Contender, num_samples: int, num_ranks: int) -> Measurement:
    """Measure in a forked process, which gives back its memory when it ends."""
    context = multiprocessing.get_context("fork")
    reader, writer = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(contender, num_samples, num_ranks, writer))
    process.start()
    writer.close()
    measurement: Measurement = reader.recv()
    process.join()
    return measurement


def _measure(contender: Contender, num_samples: int, num_ranks: int, results: Connection) -> None:
    # A fork has none of its parent's OpenMP threads, and would wait for them for ever.
    torch.set_num_threads(1)
    per_unit = BATCH_SIZE if contender.unit == "batch" else 1
    middle = num_samples // num_ranks // 2 // BATCH_SIZE * BATCH_SIZE
    num_taken = min(num_samples // num_ranks, MAX_NUM_TAKEN)
    # Code that this process has not run yet would count as memory.
    next(contender.start(1000, 2, BATCH_SIZE))
    before = _resident_bytes("VmRSS")
    # Writing 5 there lets the peak begin anew at what is resident now.
    Path("/proc/self/clear_refs").write_text("5")
    begin = time.perf_counter()
    units = contender.start(num_samples, num_ranks, 0)
    next(units)
    first_s = time.perf_counter() - begin
    for _ in islice(units, num_taken // per_unit - 1):
        pass
    epoch_s = time.perf_counter() - begin
    peak = _resident_bytes("VmHWM")
    del units
    begin = time.perf_counter()
    next(contender.start(num_samples, num_ranks, middle))
    seek_s = time.perf_counter() - begin
    results.send(
        Measurement(
            contender=contender.name,
            unit=contender.unit,
            num_samples=num_samples,
            num_ranks=num_ranks,
            first_s=first_s,
            seek_s=seek_s,
            samples_per_s=num_taken / epoch_s,
            peak_bytes=max(0, peak - before),
        )
    )


def _resident_bytes(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    [size_kib] = [line.split()[1] for line in lines if line.startswith(f"{field}:")]
    return int(size_kib) * 1024
