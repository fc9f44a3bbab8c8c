"""Watches `torch.utils.data.DataLoader`: which samples the training loop receives, in which batch of which pass.

Loader workers are asked for indices ahead of time, so what was handed out is not what was delivered. Each list of indices
is remembered under its task number when it goes into the queue; the number that has left the iterator's own table of tasks
when data comes back is the one delivered, in any order.

A library may put an iterator of its own around the loader's, which fetches a batch ahead of the loop. Then what the loader
delivers is kept back until the outer iterator hands it out.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from types import ModuleType
from typing import Any

import torch

from resumable.launch.evidence.rank_records import Batch, EpochBegin, EpochEnd, Index, Loader
from resumable.launch.system.environment import Keep
from resumable.launch.worker import torch_private
from resumable.launch.worker.digest import content_digest
from resumable.launch.worker.patching import Args, Kwargs, Patches
from resumable.launch.worker.recorder import Recorder
from resumable.launch.worker.strangers import asked
from resumable.launch.worker.watch.index_texts import index_text, samples_digest
from resumable.launch.worker.watch.loader_looks import epoch_state_of, looks_of
from resumable.launch.worker.watch.subsets import whole_indices

Delivered = Callable[[Sequence[Batch], Any], None]
"""Called with what was recorded of a batch (several, where a library makes one of them), and with the batch."""


@dataclass
class _Known:
    """A loader, of which all passes know this."""

    number: int | None = None


@dataclass
class _Pass:
    """One pass over a loader; it has a number only once the loop asks for its first batch."""

    looks: dict[str, Any]
    """What distinguishes its loader: not the loader itself, which may be gone before its first batch, and which with
    persistent workers holds the iterator that this belongs to."""
    loader: _Known
    sampler: Any
    batch_sampler: Any
    number: tuple[int, int] | None = None
    """Loader and epoch."""
    num_delivered: int = 0
    drawn: list[Index] | None = None
    """Indices that the sampler gave last."""
    by_task: dict[int, list[Index] | None] = field(default_factory=dict)


@dataclass
class Fetched:
    """A batch that an iterator around a loader's has fetched."""

    fields: dict[str, Any]
    """Of its `Batch` record."""
    data: Any


@dataclass
class PrefetchedBatches:
    """An iterator around a loader's: what it has fetched and not yet handed out."""

    fetched: list[Fetched] = field(default_factory=list)
    """In order."""
    ends: list[dict[str, Any]] = field(default_factory=list)
    """Fields of `EpochEnd` records: the loader has no more."""


class LoaderWatch:
    """Records what DataLoaders deliver in this process.

    Args:
        recorder: Gets the lines.
        digests_content: Digest the content of every batch, not only of those without indices.
        keep: What is kept of a batch that has indices.
        delivered: Hears of every batch that the training loop receives.
    """

    def __init__(
        self,
        recorder: Recorder,
        *,
        digests_content: bool = False,
        keep: Keep = "samples",
        delivered: Delivered = lambda _batches, _data: None,
    ) -> None:
        self._recorder = recorder
        self._delivered = delivered
        self._digests_content = digests_content
        self._keep = keep
        self._passes: weakref.WeakKeyDictionary[Any, _Pass] = weakref.WeakKeyDictionary()
        self._loaders: weakref.WeakKeyDictionary[Any, _Known] = weakref.WeakKeyDictionary()
        self._numbers: dict[tuple[object, ...], int] = {}
        self._num_passes: dict[int, int] = {}
        self._prefetched: PrefetchedBatches | None = None

    def install(self, patches: Patches) -> None:
        """Wrap the iterators of torch's DataLoader."""
        base, multi = torch_private.LoaderIterator, torch_private.WorkersIterator
        patches.wrap(base, "__init__", self._around_begin)
        patches.wrap(base, torch_private.RESET, self._around_begin)
        patches.wrap_hot(base, torch_private.NEXT_INDEX, self._around_next_index)
        patches.wrap_hot(multi, torch_private.TRY_PUT_INDEX, self._around_try_put_index)
        patches.wrap_hot(base, "__next__", self._around_next)
        patches.when_imported(
            "torchdata.stateful_dataloader.stateful_dataloader", partial(self._install_torchdata, patches)
        )

    @contextmanager
    def fetching(self, prefetched: PrefetchedBatches) -> Iterator[None]:
        """Keep back what loaders deliver meanwhile; an iterator around several, or around another one, is the one meant."""
        if self._prefetched is not None:
            yield
            return
        self._prefetched = prefetched
        try:
            yield
        finally:
            self._prefetched = None

    def hand_out(self, parts: Iterable[dict[str, Any]], data: Any) -> None:
        """The loop receives this now, which is made of one batch of the loader or of several."""
        is_training = torch.is_grad_enabled()
        batches = [self._recorder.emit(Batch, **{**fields, "grad_enabled": is_training}) for fields in parts]
        self._delivered([batch for batch in batches if batch is not None], data)

    def end_pass(self, fields: dict[str, Any]) -> None:
        """The loop learns now that the pass is over."""
        self._recorder.emit(EpochEnd, **fields)

    def _install_torchdata(self, patches: Patches, module: ModuleType) -> None:
        """Its iterators share torch's base; the one with workers, and the fast-forward in a constructor, are its own."""
        single, multi = torch_private.torchdata_iterators(module)
        patches.wrap_hot(multi, torch_private.TRY_PUT_INDEX, self._around_try_put_index)
        for iterator in (single, multi):
            patches.wrap(iterator, "__init__", self._around_fast_forward)

    def _around_fast_forward(self, original: Callable[..., None], iterator: Any, args: Args, kwargs: Kwargs) -> None:
        # What is fetched to come to a place again is delivered to nobody.
        with self.fetching(PrefetchedBatches()):
            original(*args, **kwargs)
        current = self._passes.get(iterator)
        if current is not None:
            current.num_delivered = 0

    def worker_pids(self) -> list[int]:
        """The processes that read ahead for this rank now."""
        return [pid for iterator in self._passes for pid in torch_private.worker_pids_of(iterator)]

    def _around_begin(self, original: Callable[..., None], iterator: Any, args: Args, kwargs: Kwargs) -> None:
        """Around what makes an iterator or makes it begin again; both get the loader first."""
        loader = args[0] if args else kwargs["loader"]
        samplers = getattr(loader, "sampler", None), getattr(loader, "batch_sampler", None)
        known = asked(lambda: self._loaders.setdefault(loader, _Known()), _Known())
        self._passes[iterator] = _Pass(looks_of(loader), known, *samplers)
        original(*args, **kwargs)

    def _around_next_index(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def _next_index(iterator: Any) -> Any:
            index = original(iterator)
            current = self._passes.get(iterator)
            if current is not None:
                if isinstance(index, Iterator) and torch_private.collates(iterator):
                    index = list(index)  # can be gone through only once
                current.drawn = None if torch_private.is_iterable(iterator) else as_indices(index)
            return index

        return _next_index

    def _around_try_put_index(self, original: Callable[..., None]) -> Callable[..., None]:
        def _try_put_index(iterator: Any) -> None:
            task = torch_private.next_task(iterator)
            original(iterator)
            current = self._passes.get(iterator)
            if current is not None and torch_private.next_task(iterator) != task:
                current.by_task[task] = current.drawn

        return _try_put_index

    def _around_next(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def advance(iterator: Any) -> Any:
            current = self._passes.get(iterator)
            if current is None or not self._recorder.is_active:
                return original(iterator)
            if current.number is None:
                self._begin(current)
            try:
                data = original(iterator)
            except StopIteration:
                self._end(current)
                raise
            if current.number is not None:
                self._deliver(iterator, current, current.number, data)
            return data

        return advance

    def _begin(self, current: _Pass) -> None:
        number = self._loader_number(current.looks, current.loader)
        epoch = self._num_passes.get(number, 0)
        self._num_passes[number] = epoch + 1
        current.number = (number, epoch)
        sampler_epoch = asked(lambda: current.sampler.epoch, None)
        self._recorder.emit(
            EpochBegin,
            loader=number,
            epoch=epoch,
            sampler_epoch=sampler_epoch if type(sampler_epoch) is int else None,
            sampler_state=epoch_state_of(current.batch_sampler) or epoch_state_of(current.sampler),
        )

    def _end(self, current: _Pass) -> None:
        if current.number is not None:
            number, epoch = current.number
            fields = {"loader": number, "epoch": epoch, "num_batches": current.num_delivered}
            if self._prefetched is not None:
                self._prefetched.ends.append(fields)
            else:
                self.end_pass(fields)

    def _deliver(self, iterator: Any, current: _Pass, number: tuple[int, int], data: Any) -> None:
        indices = current.drawn
        if current.by_task:
            open_tasks = torch_private.open_tasks(iterator)
            task = next((task for task in current.by_task if task not in open_tasks), -1)
            indices = current.by_task.pop(task, None)
        batch = current.num_delivered
        current.num_delivered += 1
        if indices is not None:
            indices = whole_indices(torch_private.dataset_of(iterator), indices)
        place = {"loader": number[0], "epoch": number[1], "batch": batch}
        fields = {**place, **self._identity(indices, data)}
        if self._prefetched is not None:
            self._prefetched.fetched.append(Fetched(fields, data))
        else:
            self.hand_out([fields], data)

    def _identity(self, indices: list[Index] | None, data: Any) -> dict[str, Any]:
        """The fields of a `Batch` record by which it is compared."""
        if indices is None:
            return {"indices": None, "digest": content_digest(data)}
        if self._keep != "samples":
            return {"indices": None, "digest": samples_digest(indices)}
        text = index_text(indices)
        digest = content_digest(data) if self._digests_content else None
        return {"indices": None if text else indices, "samples": text, "digest": digest}

    def _loader_number(self, looks: dict[str, Any], loader: _Known) -> int:
        """Loaders that look alike share a number: a script may build a new one for every epoch.

        One that looks different in a later pass keeps its own: where it goes on in an epoch, it may have the rest alone.
        Of one batch nobody knows whether it is the rest, or all samples at once, which the loop cuts into batches.
        """
        key = tuple(looks.values())
        number = self._numbers.get(key, len(set(self._numbers.values())))
        if looks["num_batches"] != 1:
            number = loader.number = number if loader.number is None else loader.number
        if key not in self._numbers:
            self._numbers[key] = number
            self._recorder.emit(Loader, loader=number, **looks)
        return number


def as_indices(index: Any) -> list[Index] | None:
    """What a sampler gave for one batch, as plain integers; None where a data set has no indices.

    A key that is no integer becomes its `repr`.
    """
    if index is None:
        return None
    if isinstance(index, Iterator):
        return None
    if isinstance(index, torch.Tensor):
        index = index.tolist()
    if isinstance(index, str | bytes) or not isinstance(index, Iterable):
        return [_as_index(index)]
    keys = list(index)
    if set(map(type, keys)) == {int}:
        return keys
    if keys and all(key is None for key in keys):
        return None
    return [key if type(key) is int else _as_index(key) for key in keys]


def _as_index(key: Any) -> Index:
    number = asked(lambda: int(key.__index__()), None)
    return asked(lambda: str(repr(key)), type(key).__qualname__) if number is None else number
