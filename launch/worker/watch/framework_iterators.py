"""Watches iterators that libraries put around a loader's: what counts is what these hand to the loop, and when."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from types import ModuleType
from typing import Any

from resumable.launch.worker import torch_private
from resumable.launch.worker.patching import Args, Kwargs, Patches
from resumable.launch.worker.watch.loaders import LoaderWatch, PrefetchedBatches


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
        patches.wrap(module.DataLoaderShard, "__iter__", self._around_shard)

    def _install_lightning(self, patches: Patches, module: ModuleType) -> None:
        fetcher = torch_private.prefetching_fetcher(module)
        patches.wrap(fetcher, "__iter__", self._around_prefetch)
        patches.wrap_hot(fetcher, "__next__", self._around_prefetched)

    def _around_shard(
        self, original: Callable[[], Iterator[Any]], _loader: Any, _args: Args, _kwargs: Kwargs
    ) -> Iterator[Any]:
        """accelerate's iterator has fetched one batch more than it hands out, until there is none; it may drop the first."""
        prefetched = PrefetchedBatches()
        batches = original()
        while True:
            with self._loaders.fetching(prefetched):
                try:
                    data = next(batches)
                except StopIteration:
                    break
            for one in prefetched.fetched[-1:] if prefetched.ends else prefetched.fetched[-2:-1]:
                self._loaders.hand_out(one.fields, data)  # which it may have moved to an accelerator
            del prefetched.fetched[:-1]
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
                self._loaders.hand_out(one.fields, one.data)
            return data

        return advance

    def _end(self, prefetched: PrefetchedBatches) -> None:
        for fields in prefetched.ends:
            self._loaders.end_pass(fields)
        prefetched.ends.clear()


def _num_loaders(prefetched: PrefetchedBatches) -> int:
    return max(1, len({one.fields["loader"] for one in prefetched.fetched}))
