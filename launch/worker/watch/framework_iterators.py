"""Watches iterators that libraries put around a loader's: what counts is what these hand to the loop, and when."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from types import ModuleType
from typing import Any

from resumable.launch.worker import torch_private
from resumable.launch.worker.patching import Args, Kwargs, Patches
from resumable.launch.worker.watch.loaders import Fetched, LoaderWatch, PrefetchedBatches


class FrameworkIteratorWatch:
    """Informs the watch of the loaders when accelerate and Lightning hand out what they fetched ahead."""

    def __init__(self, loaders: LoaderWatch) -> None:
        self._loaders = loaders

    def install(self, patches: Patches) -> None:
        """Wrap them when they are imported."""
        patches.when_imported("accelerate.data_loader", partial(self._install_accelerate, patches))
        for package in ("lightning.pytorch", "pytorch_lightning"):
            patches.when_imported(f"{package}.loops.fetchers", partial(self._install_lightning, patches))

    def _install_accelerate(self, patches: Patches, module: ModuleType) -> None:
        patches.wrap(module.DataLoaderShard, "__iter__", self._around_accelerate)
        patches.wrap(module.DataLoaderDispatcher, "__iter__", self._around_accelerate)

    def _install_lightning(self, patches: Patches, module: ModuleType) -> None:
        fetcher = torch_private.prefetching_fetcher(module)
        patches.wrap(fetcher, "__iter__", self._around_prefetch)
        patches.wrap_hot(fetcher, "__next__", self._around_prefetched)

    def _around_accelerate(
        self, original: Callable[[], Iterator[Any]], loader: Any, _args: Args, _kwargs: Kwargs
    ) -> Iterator[Any]:
        """accelerate's iterators fetch one batch more than they hand out, until there is none, and may drop the first.

        The one that fetches on rank 0 for all ranks may make one batch of one for each of them.
        """
        prefetched, num_parts = PrefetchedBatches(), _num_dealt_out(loader)
        batches = original()
        while True:
            with self._loaders.fetching(prefetched):
                try:
                    data = next(batches)
                except StopIteration:
                    break
            due = _due(prefetched, num_parts)
            self._loaders.hand_out([one.fields for one in due], data)  # which it may have moved to an accelerator
            yield data
        for fields in prefetched.ends:
            self._loaders.end_pass(fields)

    def _around_prefetch(self, original: Callable[[], Any], fetcher: Any, _args: Args, _kwargs: Kwargs) -> Any:
        # The loop leaves a pass as soon as it knows that it has the last batch, before it trains on it.
        self._end(getattr(fetcher, "resumable_prefetched", PrefetchedBatches()))
        fetcher.resumable_prefetched = PrefetchedBatches()
        with self._loaders.fetching(fetcher.resumable_prefetched):
            return original()

    def _around_prefetched(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Lightning's fetcher hands out in the order in which it fetched, one batch or one of each loader."""

        def advance(fetcher: Any) -> Any:
            prefetched: PrefetchedBatches = fetcher.resumable_prefetched
            try:
                with self._loaders.fetching(prefetched):
                    data = original(fetcher)
            except StopIteration:
                self._end(prefetched)
                raise
            num_due = len(prefetched.fetched) - len(fetcher.batches) * _num_loaders(prefetched)
            due, prefetched.fetched[:num_due] = prefetched.fetched[:num_due], []
            for one in due:
                self._loaders.hand_out([one.fields], one.data)
            return data

        return advance

    def _end(self, prefetched: PrefetchedBatches) -> None:
        for fields in prefetched.ends:
            self._loaders.end_pass(fields)
        prefetched.ends.clear()


def _num_dealt_out(loader: Any) -> int:
    """How many batches of a loader accelerate makes one of, which it deals out to the ranks."""
    if getattr(loader, "split_batches", True) or getattr(loader, "submesh_tp", None):
        return 1
    return int(loader.state.num_processes)


def _due(prefetched: PrefetchedBatches, num_parts: int) -> list[Fetched]:
    """What is handed out now, of what was fetched: the last but what was fetched ahead. Only that is kept."""
    fetched = prefetched.fetched
    starts = range(0, len(fetched), num_parts)
    is_last = len(starts) == 1 or (prefetched.ends and len(fetched) % num_parts == 0)
    border = len(fetched) if is_last else max(starts, default=0)
    prefetched.fetched = fetched[border:]
    return fetched[(border - 1) // num_parts * num_parts : border] if border else []


def _num_loaders(prefetched: PrefetchedBatches) -> int:
    return max(1, len({one.fields["loader"] for one in prefetched.fetched}))
