"""Do an order's streams keep the laws on which exact resuming rests? For orders and groups of your own."""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from functools import partial
from typing import Any, cast

import numpy as np
from torch.utils.data import Dataset

from resumable.samplers.distributed import ResumableDistributedSampler
from resumable.samplers.errors import OrderLawError
from resumable.samplers.groups import Groups
from resumable.samplers.orders import Era, Order, Positions, Stream
from resumable.samplers.state import LIMIT

_SIZES = (1, 2, 3, 7, 64, 100, 500)
_MAX_POSITIONS, _MAX_ITEMS = 3000, 320
"""Of an endless order no more is looked at: the stream, and what ranks read of it."""
_WORLDS = (1, 2, 3, 8, 64)


def check_order(
    order: Order,
    *,
    num_samples: Sequence[int] = _SIZES,
    groups: Groups | None = None,
    seed: int = 0,
) -> None:
    """Try an order on data sets of several sizes; return if it keeps all laws.

    - **description**: its name has a version, and its parameters survive JSON.
    - **bijection**: an epoch holds each sample once, unless the order says that it is no permutation.
    - **purity**: the stream depends on order, seed, epoch and number of samples alone: a copy of the order gives
      the same samples, whatever was read before, and reading changes no argument.
    - **seek**: any positions, in any order, hold what a walk from the beginning finds there.
    - **partition**: the ranks' shares together are the epoch, whatever their number.
    - **state**: a job that is stopped anywhere, and goes on from its state on a different number of ranks, reads the same.

    Args:
        order: The order.
        num_samples: Sizes of data sets that it is for.
        groups: How to group the samples, to try this as well.
        seed: Seed of what is tried.

    Raises:
        OrderLawError: the message names the law, and the smallest case that was found to break it.
    """
    _check_description(order)
    for size in sorted(num_samples):
        order.check(size)
        for epoch in (0,) if order.length(size) >= LIMIT else (0, 1, 5):
            _check_stream(order, size, seed=seed, epoch=epoch)
            _check_job(order, groups, size, seed=seed, epoch=epoch)


def _check_description(order: Order) -> None:
    if not isinstance(order, Order):
        raise OrderLawError(f"description: {order!r} is no subclass of Order")
    name = getattr(order, "name", None)
    if not isinstance(name, str) or "/" not in name:
        raise OrderLawError(f"description: name={name!r}: expected a kind and a version, as 'mine/1'")
    try:
        survived = json.loads(json.dumps(order.parameters))
    except TypeError as error:
        raise OrderLawError(f"description: parameters={order.parameters!r} do not survive JSON: {error}") from error
    if survived != order.parameters:
        raise OrderLawError(f"description: parameters={order.parameters!r} come out of JSON as {survived!r}")


def _check_stream(order: Order, size: int, *, seed: int, epoch: int) -> None:
    case = f"{order.name} over {size} samples, seed {seed}, epoch {epoch}"
    make = _maker(order, size, seed, epoch)
    length = min(order.length(size), _MAX_POSITIONS)
    positions = np.arange(length, dtype=np.int64)
    whole = _read(make(), positions, case)
    if order.is_permutation and length == size and sorted(whole) != list(range(size)):
        wrong = sorted(set(range(size)) ^ set(whole)) or sorted({value for value in whole if whole.count(value) > 1})
        raise OrderLawError(f"bijection: {case}: samples {wrong[:5]} do not come once each")
    if not all(0 <= sample < size for sample in whole):
        raise OrderLawError(f"bijection: {case}: there is a sample beyond the data set")
    if _read(_maker(deepcopy(order), size, seed, epoch)(), positions, case) != whole:
        raise OrderLawError(f"purity: {case}: a copy of the order gives different samples")
    draw = random.Random(size * 31 + epoch)
    used = make()
    for chosen in _choices(length, draw):
        expected = [whole[position] for position in chosen]
        for stream, law in ((make(), "seek"), (used, "purity")):
            if _read(stream, np.array(chosen, dtype=np.int64), case) != expected:
                raise OrderLawError(f"{law}: {case}: positions {chosen[:5]} hold something else than on a walk")


def _check_job(order: Order, groups: Groups | None, size: int, *, seed: int, epoch: int) -> None:
    case = f"{order.name} over {size} samples, seed {seed}, epoch {epoch}"
    draw = random.Random(size * 37 + epoch)
    ranks = partial(_ranks, order, groups, size, seed, epoch)
    # Beyond its end an epoch is padded from its start, so that every number of ranks reads one row.
    num_items = _MAX_ITEMS if order.length(size) >= LIMIT else None
    alone = _items(ranks(1), num_items)
    for num_replicas in _WORLDS:
        found = _items(ranks(num_replicas), num_items)[:num_items]
        padding = found[len(alone) :]
        if alone != found[: len(alone)] or len(padding) >= num_replicas or any(item not in alone for item in padding):
            raise OrderLawError(f"partition: {case}: {num_replicas} ranks together read something else than one alone")
    state, num_read = None, 0
    for num_replicas in draw.sample(_WORLDS, k=4):
        samplers = ranks(num_replicas, state)
        left = len(alone) - num_read
        part = _items(samplers, draw.randint(0, left // num_replicas) * num_replicas)
        if part != alone[num_read : num_read + len(part)]:
            raise OrderLawError(f"state: {case}: {num_replicas} ranks, {num_read} items on, read something else")
        states = [json.loads(json.dumps(sampler.state_dict())) for sampler in samplers]
        if any(theirs != states[0] for theirs in states):
            raise OrderLawError(f"state: {case}: {num_replicas} ranks have different states")
        state, num_read = states[0], num_read + len(part)


def _ranks(  # noqa: PLR0917 - the first five are what a job is, and stay
    order: Order,
    groups: Groups | None,
    size: int,
    seed: int,
    epoch: int,
    num_replicas: int,
    state: dict[str, Any] | None = None,
) -> list[ResumableDistributedSampler]:
    data = cast("Dataset[Any]", range(size))
    ranks = [
        ResumableDistributedSampler(data, num_replicas, rank, seed=seed, order=order, groups=groups)
        for rank in range(num_replicas)
    ]
    for sampler in ranks:
        sampler.set_epoch(epoch)
        if state is not None:
            sampler.load_state_dict(state)
    return ranks


def _items(ranks: Sequence[ResumableDistributedSampler], limit: int | None) -> list[object]:
    """What the ranks read in turns, padding included, and no more items than the limit."""
    rows: Iterator[tuple[object, ...]] = zip(*map(iter, ranks), strict=True)
    items: list[object] = []
    while limit is None or len(items) < limit:
        row = next(rows, None)
        if row is None:
            break
        items += row
    return items


def _maker(order: Order, size: int, seed: int, epoch: int) -> Callable[[], Stream]:
    era = Era(num_samples=size, parameters=order.parameters)
    return lambda: order.epoch_stream([era], seed=seed, epoch=epoch)


def _choices(length: int, draw: random.Random) -> Iterator[list[int]]:
    """Positions as ranks, seeks and padding ask for them, and in no order at all."""
    yield []
    yield [length - 1]
    yield [*range(0, length, 3)]
    yield [*range(length // 2, length)]
    yield [draw.randrange(length) for _ in range(50)]
    yield [*range(length)][::-1]


def _read(stream: Stream, positions: Positions, case: str) -> list[int]:
    before = positions.copy()
    samples = stream.at(positions)
    if not np.array_equal(before, positions):
        raise OrderLawError(f"purity: {case}: reading changes the positions that were asked for")
    if not isinstance(samples, np.ndarray) or samples.shape != positions.shape or samples.dtype.kind not in "iu":
        raise OrderLawError(
            f"description: {case}: at() gives {type(samples).__name__} of shape {np.shape(samples)}; expected an array of "
            f"integers of shape {positions.shape}"
        )
    found: list[int] = samples.tolist()
    return found
