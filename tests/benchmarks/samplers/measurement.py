"""One measurement: a contender at one size, in a process of its own."""

import multiprocessing
import time
import timeit
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from tests.benchmarks.samplers.contenders import BATCH_SIZE, SAMPLES_A_UNIT, Contender

MAX_NUM_TAKEN = 2_000_000
MAX_S = 5.0
"""A rank's epoch is read to its end, or up to this many samples, or for so long."""
_UNITS_A_TIME = 1000
_LITTLE_S = 0.2
_MAX_TIMES = 10


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
    state_s: float | None
    """The state of a pass under way, once it was asked for before; None where there is none."""


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
    per_unit = SAMPLES_A_UNIT[contender.unit]
    middle = num_samples // num_ranks // 2 // BATCH_SIZE * BATCH_SIZE
    num_taken = min(num_samples // num_ranks, MAX_NUM_TAKEN)
    # Code that this process has not run yet would count as memory.
    next(contender.start(1000, 2, BATCH_SIZE))
    before = _resident_bytes("VmRSS")
    # Writing 5 there lets the peak begin anew at what is resident now.
    Path("/proc/self/clear_refs").write_text("5")
    # Some draw a permutation for their first sample, others for their second: the clock runs over both.
    begin = time.perf_counter()
    first_s, units = _first(contender, num_samples, num_ranks, 0)
    num_units, num_read = max(1, num_taken // per_unit), 1
    while num_read < num_units and time.perf_counter() - begin < MAX_S:
        deque(islice(units, min(_UNITS_A_TIME, num_units - num_read)), maxlen=0)
        num_read += min(_UNITS_A_TIME, num_units - num_read)
    epoch_s = time.perf_counter() - begin
    peak = _resident_bytes("VmHWM")
    state_s = _state_s(units)
    del units
    first_s = min(first_s, _again(contender, num_samples, num_ranks, 0))
    seek_s = _again(contender, num_samples, num_ranks, middle)
    results.send(
        Measurement(
            contender=contender.name,
            unit=contender.unit,
            num_samples=num_samples,
            num_ranks=num_ranks,
            first_s=first_s,
            seek_s=seek_s,
            samples_per_s=num_read * per_unit / epoch_s,
            peak_bytes=max(0, peak - before),
            state_s=state_s,
        )
    )


def _first(contender: Contender, num_samples: int, num_ranks: int, num_skipped: int) -> tuple[float, Iterator[Any]]:
    begin = time.perf_counter()
    units = contender.start(num_samples, num_ranks, num_skipped)
    next(units, None)
    return time.perf_counter() - begin, units


def _again(contender: Contender, num_samples: int, num_ranks: int, num_skipped: int) -> float:
    """The seconds to a first one; of what takes little, the least of several, for a busy machine disturbs it most."""
    seconds: list[float] = []
    while sum(seconds) < _LITTLE_S and len(seconds) < _MAX_TIMES:
        seconds.append(_first(contender, num_samples, num_ranks, num_skipped)[0])
    return min(seconds)


def _state_s(units: object) -> float | None:
    state_dict = getattr(units, "state_dict", None) or getattr(units, "get_state", None)
    return None if state_dict is None else min(timeit.repeat(state_dict, number=1, repeat=50)[1:])


def _resident_bytes(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    [size_kib] = [line.split()[1] for line in lines if line.startswith(f"{field}:")]
    return int(size_kib) * 1024
