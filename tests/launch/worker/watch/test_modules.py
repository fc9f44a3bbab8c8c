from __future__ import annotations

import copy
import gc
import weakref

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.testing._internal.distributed.fake_pg import FakeStore

from resumable.launch.worker.watch.modules import LiveModules


class Meter(nn.Module):
    """Counts what it has seen, and is trained by nobody."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("total", torch.zeros(1))


class Wrapper(nn.Module):
    """As torch's wrappers are."""

    def __init__(self, name: str, inner: nn.Module) -> None:
        super().__init__()
        self.add_module(name, inner)


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4, affine=False), nn.Linear(4, 1))


def followed(model: nn.Module) -> LiveModules:
    modules = LiveModules()
    modules.follow(model.parameters())
    return modules


def names_of(modules: LiveModules, model: nn.Module) -> list[str]:
    return [modules.name_of(parameter) for parameter in model.parameters()]


NAMES = ["0.weight", "0.bias", "2.weight", "2.bias"]
BUFFERS = ["1.running_mean", "1.running_var", "1.num_batches_tracked"]


@pytest.mark.parametrize("wrappers", [(), ("module",), ("_orig_mod",), ("_fsdp_wrapped_module", "module", "_orig_mod")])
def test_a_name_is_the_same_however_the_model_is_wrapped(wrappers: tuple[str, ...]) -> None:
    """On one rank a job may wrap nothing."""
    model = network()
    whole: nn.Module = model
    for name in wrappers:
        whole = Wrapper(name, whole)
    modules = followed(model)
    assert [names_of(modules, model), [name for name, _ in modules.buffers()]] == [NAMES, BUFFERS]
    assert whole is not None


def test_a_compiled_model_has_the_names_of_the_model() -> None:
    """Compiled as a whole, or in part."""
    model = network()
    compiled = torch.compile(model, backend="eager")
    assert names_of(followed(model), model) == NAMES
    assert compiled is not None


def test_a_parameter_without_a_module_has_no_name() -> None:
    """A bare tensor in an optimizer."""
    parameter = nn.Parameter(torch.ones(2))
    modules = LiveModules()
    modules.follow([parameter])
    assert modules.name_of(parameter) == ""


def test_a_tied_parameter_has_one_name() -> None:
    """The same whichever of its modules is found first."""
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    model[1].weight = model[0].weight
    assert names_of(followed(model), model) == ["0.weight"]


def test_buffers_of_a_module_without_parameters_count_if_it_is_part_of_what_is_trained() -> None:
    """A normalisation without scale and shift keeps statistics all the same."""
    model = network()
    buffers = dict(followed(model).buffers())
    assert buffers["1.running_mean"] is model[1].running_mean


def test_what_a_meter_counts_does_not() -> None:
    """Nobody trains it."""
    model, meter = network(), Meter()
    assert [name for name, _ in followed(model).buffers()] == BUFFERS
    assert meter is not None


def test_a_copy_is_not_what_is_trained() -> None:
    """An average or a teacher has buffers under the same names."""
    model = network()
    average = copy.deepcopy(model)
    assert [id(buffer) for _, buffer in followed(model).buffers()] == [id(buffer) for buffer in model.buffers()]
    assert average is not None


def test_buffers_without_their_names_are_the_same_ones() -> None:
    """In their order, and without one that is gone since."""
    model = network()
    modules = followed(model)
    model[1].running_var = None
    expected = [model[1].running_mean, model[1].num_batches_tracked]
    assert list(map(id, expected)) == list(map(id, modules.buffer_tensors()))


def test_what_no_checkpoint_holds_does_not_count() -> None:
    """A table that is computed anew, for example."""
    model = nn.Linear(4, 4)
    model.register_buffer("table", torch.zeros(1), persistent=False)
    assert list(followed(model).buffers()) == []


def test_what_is_frozen_or_of_another_model_is_untrained() -> None:
    """A base under adapters, a teacher; an optimizer may hold what gets no gradient."""
    model, teacher = network(), nn.ModuleDict({"head": nn.Linear(2, 1)})
    model[0].weight.requires_grad_(False)
    untrained = dict(followed(model).untrained())
    assert sorted(untrained) == ["0.weight", "head.bias", "head.weight"]
    assert untrained["head.weight"] is teacher["head"].weight


def test_buffers_of_what_is_not_trained_are_untrained() -> None:
    """A loss that keeps a center, a queue; those of the model itself count with it."""
    model, loss = network(), nn.Module()
    loss.register_buffer("center", torch.zeros(1))
    loss.register_buffer("table", torch.zeros(1), persistent=False)
    untrained = dict(followed(model).untrained())
    assert list(untrained) == ["center"]
    assert untrained["center"] is loss.center


def test_a_buffer_that_is_replaced_is_followed() -> None:
    """By another tensor, under the same name."""
    model = network()
    modules = followed(model)
    model[1].running_mean = torch.ones(4)
    assert dict(modules.buffers())["1.running_mean"] is model[1].running_mean


def test_a_module_that_is_gone_is_forgotten() -> None:
    """Nobody keeps it alive."""
    model = nn.BatchNorm1d(4)
    parameters, gone = list(model.parameters()), weakref.ref(model)
    modules = LiveModules()
    modules.follow(parameters)
    del model
    gc.collect()
    assert [list(modules.buffers()), gone()] == [[], None]


def test_modules_are_looked_for_again_when_other_parameters_are_trained() -> None:
    """A part of the model that was frozen is trained from some step on."""
    model, later = network(), nn.Linear(2, 2)
    modules = followed(model)
    modules.follow([*model.parameters(), *later.parameters()])
    assert names_of(modules, later) == ["weight", "bias"]


@pytest.mark.parametrize(
    ("rank", "broadcasts", "expected"),
    [(0, True, (BUFFERS, False)), (1, True, ([], True)), (1, False, (BUFFERS, False))],
)
def test_buffers_that_another_rank_is_about_to_give_are_not_a_ranks_own(rank: int, broadcasts: bool, expected) -> None:
    """`DistributedDataParallel` takes those of rank 0 in each forward pass, unless it is told not to."""
    dist.init_process_group("fake", store=FakeStore(), rank=rank, world_size=2)
    try:
        model = network()
        ddp = DistributedDataParallel(model)
        ddp.broadcast_buffers = broadcasts
        modules = followed(model)
        assert expected == ([name for name, _ in modules.buffers()], modules.gets_buffers)
        del ddp
    finally:
        dist.destroy_process_group()
