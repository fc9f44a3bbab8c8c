from __future__ import annotations

import pytest
import torch
from torch import nn

from resumable.launch.worker.watch.settings import SettingsWatch


@pytest.fixture
def model() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))


@pytest.fixture
def watch(model: nn.Module) -> SettingsWatch:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return SettingsWatch(lambda parameter: names.get(id(parameter), ""))


def two_groups(model: nn.Module) -> torch.optim.Optimizer:
    first, second = model.children()
    groups = [{"params": first.parameters(), "lr": 0.1}, {"params": second.parameters(), "weight_decay": 0.5}]
    return torch.optim.AdamW(groups, lr=0.2, weight_decay=0.0)


def test_what_steps_are_made_with_is_told_once(watch: SettingsWatch, model: nn.Module) -> None:
    """One value for each group, and each number of a pair by itself; later what is not as it was."""
    optimizer = two_groups(model)
    watch.look(optimizer.param_groups)
    first = watch.take()["0.weight"]
    watch.look(optimizer.param_groups)
    again = watch.take()
    optimizer.param_groups[1]["betas"] = (0.9, 0.5)
    model.get_parameter("1.bias").requires_grad_(False)
    watch.look(optimizer.param_groups)
    expected = {"betas/1": [0.999, 0.5], "frozen": ["1.bias"]}
    assert ([0.1, 0.2], [0.0, 0.5], [0, 0], [], {}, {"0.weight": expected}) == (
        first["lr"],
        first["weight_decay"],
        first["amsgrad"],
        first["frozen"],
        again,
        watch.take(),
    )


def test_the_rate_of_an_only_group_is_told_elsewhere(watch: SettingsWatch, model: nn.Module) -> None:
    """With each step, as it changes with most of them."""
    watch.look(torch.optim.SGD(model.parameters(), lr=0.1).param_groups)
    assert "lr" not in watch.take()["0.weight"]


def test_optimizers_are_told_apart_by_their_parameters(watch: SettingsWatch, model: nn.Module) -> None:
    """In whichever order they make their steps: what was looked at in between is told with the next step."""
    one, other = (
        torch.optim.SGD(child.parameters(), lr=0.1, momentum=m) for child, m in zip(model, (0.5, 0.7), strict=True)
    )
    watch.look(other.param_groups)
    watch.look(one.param_groups)
    found = watch.take()
    watch.look(other.param_groups)
    assert ({k: own["momentum"] for k, own in found.items()}, watch.take()) == (
        {"0.weight": [0.5], "1.weight": [0.7]},
        {},
    )


def test_what_is_no_number_or_text_is_left_out(watch: SettingsWatch, model: nn.Module) -> None:
    """Whatever a script puts into a group of its own; numbers that are none have their names."""
    group = {
        "params": list(model.parameters()),
        "function": print,
        "table": torch.ones(3),
        "tensor": torch.tensor(0.5),
        "many": [1.0] * 99,
        "nan": float("nan"),
        "huge": 1 << 80,
        "text": "x" * 99,
        "nothing": None,
    }
    expected = {"tensor": [0.5], "nan": ["nan"], "text": ["x" * 64], "nothing": ["None"], "frozen": []}
    assert ({"0.weight": expected}, {}) == (watch.of_all([[group]]), watch.of_all([[], [{"params": []}]]))


def test_many_frozen_parameters_are_one_word() -> None:
    """A backbone has hundreds of them."""
    parameters = [nn.Parameter(torch.zeros(1), requires_grad=False) for _ in range(65)]
    [word] = SettingsWatch(lambda _: "").of([{"params": parameters}])["frozen"]
    assert str(word).startswith("65 parameters, ")
