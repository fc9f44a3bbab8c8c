from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from resumable.launch.worker.watch.gradients import GradientWatch

Change = Callable[[torch.nn.Module], object]


def model_with_gradients() -> torch.nn.Module:
    model = torch.nn.Sequential(*[torch.nn.Linear(2, 2) for _ in range(9)])
    model(torch.ones(1, 2)).sum().backward()
    return model


def replace(model: torch.nn.Module) -> None:
    for parameter in model.parameters():
        parameter.grad = parameter.grad.clone()


@pytest.mark.parametrize(
    ("change", "is_gone"),
    [
        (lambda _model: None, False),
        (lambda model: model.zero_grad(), True),
        (lambda model: model.zero_grad(set_to_none=False), True),
        (lambda model: torch.nn.utils.clip_grad_norm_(model.parameters(), 1e-3), False),
        (lambda model: [parameter.grad.div_(3) for parameter in model.parameters()], False),
        (lambda model: setattr(model[0].weight, "grad", None), False),
        (replace, False),
    ],
    ids=["nothing", "to none", "to zero", "clipped", "scaled", "one of many", "replaced"],
)
def test_gradients_are_let_go_when_all_are_none_or_zero(change: Change, is_gone: bool) -> None:
    """Whatever else is done to them, a step may still use them."""
    model = model_with_gradients()
    watch = GradientWatch(model.parameters)
    watch.remember()
    change(model)
    assert watch.were_let_go() is is_gone


def test_without_gradients_nothing_is_known() -> None:
    """They may lie where nobody of ours looks, as those that are not yet reduced over ranks."""
    watch = GradientWatch(torch.nn.Linear(1, 1).parameters)
    watch.remember()
    assert not watch.were_let_go()


@pytest.mark.parametrize(("change", "carries"), [(lambda _model: None, True), (lambda model: model.zero_grad(), False)])
def test_only_what_a_process_begins_with_is_carried(change: Change, carries: bool) -> None:
    """Gradients that are there before its first backward pass came with a checkpoint."""
    model = model_with_gradients()
    change(model)
    watch = GradientWatch(model.parameters)
    assert [watch.are_carried(), watch.are_carried()] == [carries, False]


def test_a_changed_parameter_shows() -> None:
    """A step that nothing has seen was done."""
    model = model_with_gradients()
    watch = GradientWatch(model.parameters)
    watch.compare_parameters()
    watch.remember()
    seen = [watch.have_parameters_changed()]
    with torch.no_grad():
        torch._foreach_add_(list(model.parameters()), 1.0)
    assert [*seen, watch.have_parameters_changed()] == [False, True]
