from __future__ import annotations

import copy
import importlib
import inspect
import os
import pickle
import pkgutil
import types
from pathlib import Path
from typing import Any

import pytest
import torch

from resumable.launch.worker.patching import Args, Kwargs, Patches
from resumable.launch.worker.watch.checkpoints import CheckpointWatch
from resumable.launch.worker.watch.distributed_checkpoints import DistributedCheckpointWatch
from resumable.launch.worker.watch.forwards import ForwardWatch
from resumable.launch.worker.watch.framework_iterators import FrameworkIteratorWatch
from resumable.launch.worker.watch.loaders import LoaderWatch
from resumable.launch.worker.watch.saving import Saving
from resumable.launch.worker.watch.state import StateWatch
from resumable.launch.worker.watch.training import TrainingWatch
from tests.launch.worker.conftest import Interrupter, Listener

OWNERS = (
    "os",
    "torch",
    "torch.autograd",
    "torch.nn:Module",
    "torch.optim:Optimizer",
    "torch.optim.lr_scheduler:LRScheduler",
    "torch.distributed.checkpoint",
    "torch.distributed.checkpoint.filesystem",
    "torch.distributed.checkpoint.state_dict_loader",
    "torch.distributed.checkpoint.state_dict_saver",
    "torch.utils.data.dataloader:_BaseDataLoaderIter",
    "torch.utils.data.dataloader:_MultiProcessingDataLoaderIter",
    "torchdata.stateful_dataloader.stateful_dataloader:_StatefulMultiProcessingDataLoaderIter",
    "accelerate.data_loader:DataLoaderShard",
    "lightning.pytorch.loops.fetchers:_PrefetchDataFetcher",
    "safetensors.torch",
)


class Base:
    def scaled(self, value: int, *, by: int = 1) -> int:
        """A docstring."""
        return value * by


class Derived(Base):
    """Inherits what is patched."""


def identities(owner: Any) -> dict[str, int]:
    """A wrapped function equals its original: only its identity tells them apart."""
    return {name: id(value) for name, value in vars(owner).items()}


def negated(original: Any, _instance: Any, args: Args, kwargs: Kwargs) -> Any:
    return -original(*args, **kwargs)


def test_a_wrapper_gets_the_bound_original_its_instance_and_the_arguments(patches: Patches) -> None:
    """However the method is called."""
    calls = []

    def note(original: Any, instance: Any, args: Args, kwargs: Kwargs) -> Any:
        calls.append((instance, args, kwargs))
        return original(*args, **kwargs)

    patches.wrap(Base, "scaled", note)
    base = Base()
    assert (base.scaled(2, by=3), Base.scaled(base, 2, by=3)) == (6, 6)
    assert calls == [(base, (2,), {"by": 3})] * 2


def test_what_is_wrapped_looks_as_before(patches: Patches) -> None:
    """Frameworks look at signatures to decide which arguments they give."""
    looks = [(inspect.signature(Base.scaled), Base.scaled.__name__, inspect.getdoc(Base.scaled))]
    patches.wrap(Base, "scaled", negated)
    looks.append((inspect.signature(Base.scaled), Base.scaled.__name__, inspect.getdoc(Base.scaled)))
    patches.wrap_hot(Base, "scaled", lambda original: lambda *args: original(*args) + 1)
    looks.append((inspect.signature(Base.scaled), Base.scaled.__name__, inspect.getdoc(Base.scaled)))
    assert looks == [looks[0]] * 3


@pytest.mark.parametrize("owner", [Base, Derived])
def test_all_is_as_before_once_it_is_taken_back(owner: type[Base]) -> None:
    """Wrappers over wrappers, and one in a class that only inherits the method."""
    before = [identities(kind) for kind in (Base, Derived)]
    patches = Patches()
    patches.wrap(owner, "scaled", negated)
    patches.wrap_hot(owner, "scaled", lambda original: lambda *args: original(*args) + 1)
    patches.replace(owner, "other", 1)
    assert owner().scaled(2) == -1
    patches.undo()
    assert [identities(kind) for kind in (Base, Derived)] == before


def test_one_patch_can_be_taken_back_early(patches: Patches) -> None:
    """And again with the others, to no effect."""
    patches.wrap(Base, "scaled", negated)()
    assert Base().scaled(2) == 2


def test_what_others_have_put_over_a_patch_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """A script may patch the same function later; ours is still what it calls."""
    patches = Patches()
    patches.wrap(Base, "scaled", negated)
    below = Base.scaled
    monkeypatch.setattr(Base, "scaled", lambda self, value: below(self, value) - 1)
    patches.undo()
    assert Base().scaled(2) == -3


def test_a_module_is_patched_when_it_is_imported(
    patches: Patches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once where it is there, or else right after its own code has run; not by who has taken back everything."""
    (tmp_path / "imported_late.py").write_text("value = 1")
    monkeypatch.syspath_prepend(tmp_path)
    seen: list[tuple[str, types.ModuleType, int]] = []
    undone = Patches()
    undone.when_imported("imported_late", lambda module: seen.append(("undone", module, module.value)))
    undone.undo()
    patches.when_imported("imported_late", lambda module: seen.append(("late", module, module.value)))
    assert seen == []
    imported_late = importlib.import_module("imported_late")
    patches.when_imported("imported_late", lambda module: seen.append(("at once", module, module.value)))
    assert seen == [("late", imported_late, 1), ("at once", imported_late, 1)]


@pytest.mark.parametrize(("owner", "name"), [(torch, "save"), (os, "replace"), (Base, "scaled")])
def test_a_wrapped_function_is_copied_and_pickled_by_its_name(patches: Patches, owner: Any, name: str) -> None:
    """A script may hand it to a process that it spawns; what is pickled there or in a checkpoint knows nothing of us."""
    patches.wrap(owner, name, negated)
    wrapped = inspect.getattr_static(owner, name)
    pickled = pickle.dumps(wrapped)
    assert b"resumable" not in pickled
    assert (copy.copy(wrapped) is wrapped, copy.deepcopy([wrapped])[0] is wrapped) == (True, True)
    assert pickle.loads(pickled) == getattr(owner, name)


def test_every_watch_can_be_taken_back(listener: Listener) -> None:
    """Torch, the libraries and the system's calls are to the last attribute what they were."""
    owners = [pkgutil.resolve_name(name) for name in OWNERS]
    before = [identities(owner) for owner in owners]
    patches = Patches()
    state, loaders = StateWatch(listener), LoaderWatch(listener)
    saving = Saving(listener, Interrupter())
    for watch in (
        CheckpointWatch(listener, Interrupter(), saving),
        DistributedCheckpointWatch(Interrupter(), saving),
        ForwardWatch(listener),
        FrameworkIteratorWatch(loaders),
        TrainingWatch(listener, None, ForwardWatch(listener), state),
        loaders,
        state,
    ):
        watch.install(patches)
    untouched = [name for name, owner, was in zip(OWNERS, owners, before, strict=True) if was == identities(owner)]
    assert untouched == []
    patches.undo()
    assert [identities(owner) for owner in owners] == before
