from __future__ import annotations

import copy
import gc
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from resumable.launch.evidence.fingerprints import Fingerprint
from resumable.launch.evidence.rank_records import Backward, Batch, Load, State, Step
from resumable.launch.worker.patching import Patches
from resumable.launch.worker.watch.state import StateWatch
from tests.launch.worker.conftest import Listener

BATCH = Batch(sequence=0, time_ns=0, loader=0, epoch=0, batch=0, indices=[0])
BACKWARD = Backward(sequence=0, time_ns=0)
LOAD = Load(sequence=0, time_ns=0, path="")
Components = dict[str, dict[str, Fingerprint]]


@pytest.fixture
def watch(patches: Patches, listener: Listener) -> StateWatch:
    gc.collect()  # modules of earlier tests would be the job's until they are collected
    watch = StateWatch(listener)
    watch.install(patches)
    return watch


class Training:
    """A small model and all that goes with it."""

    def __init__(self, make: Callable[..., torch.optim.Optimizer] = torch.optim.Adam) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
        self.optimizer = make(self.model.parameters(), lr=0.1)
        self.scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, 3)
        self.scaler = torch.amp.GradScaler("cpu", init_scale=8.0)

    @property
    def mean(self) -> torch.Tensor:
        """A running statistic."""
        return self.model.get_buffer("1.running_mean")

    def step(self, watch: StateWatch | None = None) -> None:
        if watch is not None:
            watch.observe(BATCH)
        loss = self.model(torch.ones(2, 4) * torch.tensor([[1.0], [2.0]])).sum()
        self.scaler.scale(loss).backward()
        if watch is not None:
            watch.observe(BACKWARD)
        self.optimizer.step()
        if watch is not None:
            watch.optimizers.note_step(self.optimizer)
        self.scheduler.step()

    def state_dict(self) -> dict[str, Any]:
        return copy.deepcopy(
            {
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "scheduler": self.scheduler.state_dict(),
                "scaler": self.scaler.state_dict(),
                "random": torch.get_rng_state(),
            }
        )

    def load(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        self.scaler.load_state_dict(state["scaler"])
        torch.set_rng_state(state["random"])


def at_save(watch: StateWatch, listener: Listener) -> State:
    watch.note_save()
    record = listener.records[-1]
    assert isinstance(record, State)
    return record


MOMENTS = [torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop, torch.optim.Adagrad, torch.optim.Adadelta]


@pytest.mark.parametrize("make", [*MOMENTS, torch.optim.SGD, torch.optim.NAdam, torch.optim.Rprop])
def test_what_is_restored_is_what_was_saved(watch: StateWatch, listener: Listener, make) -> None:
    """All components, by every name, and in the quick form; whichever optimizer it is."""
    before = Training(make)
    for _ in range(4):
        before.step()
    saved, state = at_save(watch, listener), before.state_dict()
    del before
    after = Training(make)
    after.load(state)
    watch.observe(LOAD)
    watch.observe(BATCH)
    found = watch.at_start()
    assert (saved.components, saved.quick) == (found["components"], _without_nothing(found["quick"]))


def _without_nothing(quick: dict[str, Fingerprint]) -> dict[str, Fingerprint]:
    return {component: one for component, one in quick.items() if one != Fingerprint()}


def no_model(state: dict[str, Any]) -> None:
    state["model"]["0.bias"].zero_()


def no_statistics(state: dict[str, Any]) -> None:
    state["model"]["1.running_mean"].zero_()


def no_moment(state: dict[str, Any]) -> None:
    state["optimizer"]["state"][4]["exp_avg"].zero_()


def exchanged_moments(state: dict[str, Any]) -> None:
    """Those of two parameters of the same shape."""
    states = state["optimizer"]["state"]
    states[2], states[3] = states[3], states[2]


def no_scale(state: dict[str, Any]) -> None:
    state["scaler"]["scale"] = 65536.0


def no_schedule(state: dict[str, Any]) -> None:
    state["scheduler"]["last_epoch"] = 0


def no_random_state(state: dict[str, Any]) -> None:
    state["random"] = torch.Generator().manual_seed(77).get_state()


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (no_model, {"parameters": ["0.bias"]}),
        (no_statistics, {"buffers": ["1.running_mean"]}),
        (no_moment, {"optimizer": ["2.weight"]}),
        (exchanged_moments, {"optimizer": ["1.bias", "1.weight"]}),
        (no_scale, {"scaler": ["0"]}),
        (no_schedule, {"schedulers": ["0"]}),
        (no_random_state, {"random": ["torch"]}),
    ],
)
def test_what_is_lost_shows_under_its_name_and_nowhere_else(watch, listener, spoil, expected) -> None:
    """Component by component."""
    before = Training()
    for _ in range(4):
        before.step()
    saved, state = at_save(watch, listener), before.state_dict()
    del before
    spoil(state)
    after = Training()
    after.load(state)
    watch.observe(BATCH)
    found = watch.at_start()["components"]
    differing = {
        component: sorted(name for name, one in parts.items() if found[component].get(name) != one)
        for component, parts in saved.components.items()
    }
    assert expected == {component: names for component, names in differing.items() if names}


def test_the_start_is_what_was_there_before_the_first_forward_pass(watch: StateWatch, listener: Listener) -> None:
    """It changes running statistics; a scaler that skips the first step changes its scale; batches may be skipped first."""
    training = Training()
    saved = at_save(watch, listener)
    for record in (BATCH, BATCH):
        watch.observe(record)
    training.model(torch.randn(4, 4)).sum().backward()
    watch.observe(BACKWARD)
    training.scaler.load_state_dict({**training.scaler.state_dict(), "scale": 2.0})
    torch.rand(1)
    watch.observe(BATCH)
    assert saved.components == watch.at_start()["components"]


def test_a_weight_without_a_gradient_is_what_it_was_before_a_forward_pass_set_it(watch, listener) -> None:
    """A momentum encoder moves in it, whether an optimizer holds its weights or not."""
    training, encoder = Training(), nn.Linear(4, 3).requires_grad_(False)
    training.model.get_submodule("2").requires_grad_(False)
    saved = at_save(watch, listener)
    watch.observe(BATCH)
    with torch.no_grad():
        encoder.weight.zero_()
        training.model.get_parameter("2.weight").zero_()
    found = watch.at_start()["components"]
    names = {"weight", "bias", "2.weight", "2.bias"}
    assert (saved.components, names) == (found, set(found["untrained"]))


def test_a_model_that_is_put_into_another_module_behind_a_load_has_the_names_of_that(watch, listener) -> None:
    """A wrapper for its loss, an average: at the save they were in it, too, however late that was made."""
    training = Training()
    whole = nn.ModuleDict({"inner": training.model})
    training.step(watch)
    saved = at_save(watch, listener)
    del whole
    resumed = StateWatch(listener)
    resumed.optimizers.note_step(training.optimizer)
    resumed.observe(LOAD)
    names = set(at_save(resumed, listener).components["parameters"])
    whole = nn.ModuleDict({"inner": training.model})
    resumed.observe(BATCH)
    found = resumed.at_start()
    assert (names & saved.components["parameters"].keys(), list(whole)) == (set(), ["inner"])
    assert saved.components["parameters"] == found["components"]["parameters"]
    assert saved.quick["parameters"] == found["quick"]["parameters"]


def test_settings_and_buffers_outside_of_checkpoints_are_told(watch: StateWatch, listener: Listener) -> None:
    """At a save what the optimizers are set to, and both buffers, those as they are before the first forward pass, too."""
    training = Training(torch.optim.AdamW)
    watch.optimizers.note_step(training.optimizer)
    training.model.get_submodule("1").register_buffer("seen", torch.zeros(2), persistent=False)
    saved = at_save(watch, listener)
    training.model.get_buffer("1.seen").fill_(1.0)
    watch.observe(BATCH)
    found = watch.at_start()["components"]["unsaved"]
    [settings] = saved.settings.values()
    assert ([0.01], {"1.seen"}, True) == (settings["weight_decay"], set(found), saved.components["unsaved"] != found)


def test_a_weight_that_cannot_be_read_ends_no_job(watch: StateWatch, listener: Listener) -> None:
    """Of a lazy module that nobody has called yet, or on the device meta."""
    training, lazy, meta = Training(), nn.LazyLinear(3), nn.Linear(2, 1, bias=False, device="meta")
    names = set(at_save(watch, listener).components["untrained"])
    assert (names, training, lazy, meta) == ({"weight", "bias"}, training, lazy, meta)


def test_gradients_count_while_a_window_of_accumulation_is_open(watch: StateWatch, listener: Listener) -> None:
    """They are part of the state from a backward pass to the step that uses them."""
    training = Training()
    training.model(torch.randn(4, 4)).square().sum().backward()
    watch.observe(BACKWARD)
    names = set(at_save(watch, listener).components["gradients"])
    watch.observe(Step(sequence=0, time_ns=0, step=0))
    after = at_save(watch, listener).components
    assert ({"0.weight", "0.bias", "1.weight", "1.bias", "2.weight", "2.bias"}, False) == (names, "gradients" in after)


def test_gradients_that_are_brought_back_are_part_of_the_start(watch: StateWatch, listener: Listener) -> None:
    """A script may keep those of the micro-batches before the save in its checkpoint."""
    before = Training()
    before.model(torch.randn(4, 4)).square().sum().backward()
    watch.observe(BACKWARD)
    saved = at_save(watch, listener).components["gradients"]
    gradients = [parameter.grad for parameter in before.model.parameters()]
    after, second = Training(), StateWatch(listener)
    second.optimizers = watch.optimizers
    del before
    for parameter, gradient in zip(after.model.parameters(), gradients, strict=True):
        parameter.grad = gradient
    second.observe(BATCH)
    second.observe(BACKWARD)
    assert second.at_start()["components"]["gradients"] == saved


def test_without_a_batch_nobody_knows_what_was_there_before(watch: StateWatch) -> None:
    """What a forward pass may have changed is left out."""
    training = Training()
    training.step()
    found = watch.at_start()
    assert {"parameters", "optimizer"} == found["components"].keys()
    assert {"parameters", "optimizer"} == found["quick"].keys()


def test_what_is_loaded_after_the_first_batch_counts(watch: StateWatch) -> None:
    """A model may be made once the first batch has shown its sizes."""
    training = Training()
    watch.observe(BATCH)
    training.mean.fill_(5.0)
    watch.observe(LOAD)
    watch.observe(BATCH)
    expected = watch.at_start()["components"]["buffers"]
    training.mean.fill_(0.0)
    watch.observe(BATCH)
    assert watch.at_start()["components"]["buffers"] == expected


def test_an_end_after_main_has_returned_is_that_of_its_last_optimizers(watch: StateWatch, listener: Listener) -> None:
    """They are gone, and their parameters with them."""

    def main() -> State:
        table, head = nn.Embedding(500, 16, sparse=True), nn.Linear(16, 1)
        optimizers = torch.optim.SparseAdam(table.parameters()), torch.optim.Adam(head.parameters())
        head(table(torch.arange(400, 404))).sum().backward()
        for optimizer in optimizers:
            optimizer.step()
            watch.optimizers.note_step(optimizer)
        return at_save(watch, listener)

    saved = main()
    parameters = watch.note_end()
    end = listener.records[-1]
    assert isinstance(end, State)
    assert parameters
    assert (saved.components["parameters"], saved.components["optimizer"], "end") == (
        end.components["parameters"],
        end.components["optimizer"],
        end.moment,
    )


def test_who_only_loads_in_main_ends_with_what_was_loaded(watch: StateWatch, listener: Listener) -> None:
    """Nothing was left to train when it was started again."""

    def main() -> list[str]:
        training = Training()
        watch.observe(LOAD)
        training.load(training.state_dict())
        return [name for name, _ in training.model.named_parameters()]

    names = main()
    assert watch.note_end() is not None
    end = listener.records[-1]
    assert isinstance(end, State)
    assert names == list(end.components["parameters"])


def test_an_optimizer_that_did_not_outlive_the_training_is_no_part_of_the_end(watch: StateWatch, listener) -> None:
    """One for each task, thrown away while another one goes on."""
    outer = Training()
    inner = torch.optim.SGD([nn.Parameter(torch.ones(2))])
    watch.optimizers.note_step(inner)
    del inner
    outer.step(watch)
    watch.note_end()
    end = listener.records[-1]
    assert isinstance(end, State)
    assert len(end.components["parameters"]) == len(list(outer.model.parameters()))


def test_who_never_trained_has_no_end(watch: StateWatch, listener: Listener) -> None:
    """Nothing is recorded."""
    assert (watch.note_end(), listener.records) == (None, [])


def test_a_row_of_a_sparse_optimizer_shows(watch: StateWatch, listener: Listener) -> None:
    """Wherever in a large table it lies: a save looks at every element."""
    table = nn.Embedding(5000, 16, sparse=True)
    optimizer = torch.optim.SparseAdam(table.parameters())
    table(torch.tensor([2222])).sum().backward()
    optimizer.step()
    before = at_save(watch, listener)
    optimizer.state[table.weight]["exp_avg"][2222].zero_()
    after = at_save(watch, listener)
    assert before.components["optimizer"] != after.components["optimizer"]
    assert before.components["parameters"] == after.components["parameters"]


def test_an_optimizer_that_is_made_after_the_first_batch_says_what_is_trained(
    watch: StateWatch, listener: Listener
) -> None:
    """Until then whatever may be trained passes for it; the start and a save then say the same of the same."""
    torch.manual_seed(0)
    model, teacher = nn.Linear(2, 1), nn.Linear(3, 1)
    watch.observe(BATCH)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    watch.observe(BATCH)
    found = watch.at_start()["components"]
    saved = at_save(watch, listener).components
    assert {name: saved[name] for name in ("parameters", "untrained")} == {
        name: found[name] for name in ("parameters", "untrained")
    }
    assert (len(optimizer.param_groups), teacher.weight.shape) == (1, (1, 3))


def test_a_lazy_module_that_nobody_has_called_is_no_obstacle(watch: StateWatch) -> None:
    """Its two parameters refuse most questions until its first forward pass, and count as one element each."""
    lazy = nn.LazyLinear(2)
    watch.observe(BATCH)
    before = watch.after_step()["parameters"].num_elements
    lazy(torch.ones(1, 3))
    assert watch.after_step()["parameters"].num_elements - before == 8 - 2
