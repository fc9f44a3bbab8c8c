from __future__ import annotations

import torch

from resumable.launch.evidence.rank_records import Backward, Batch, EpochEnd, Loader
from resumable.launch.worker.patching import Patches
from resumable.launch.worker.watch.inputs import InputWatch
from tests.launch.worker.conftest import Listener


def calls_of(listener: Listener) -> list[tuple[int, int]]:
    return [(record.loader, record.batch) for record in listener.of(Batch)]


def installed(listener: Listener, patches: Patches) -> InputWatch:
    watch = InputWatch(listener)
    watch.install(patches)
    return watch


def test_only_the_outermost_module_is_fed(listener: Listener, patches: Patches) -> None:
    """The layers within a model get what the model made of its inputs."""
    installed(listener, patches)
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU())
    for number in (1.0, 2.0, 1.0):
        model(torch.full((1, 2), number))
    digests = [record.digest for record in listener.of(Batch)]
    assert calls_of(listener) == [(1000, 0), (1000, 1), (1000, 2)]
    assert (digests[0], digests[0] == digests[1]) == (digests[2], False)
    assert [record.dataset for record in listener.of(Loader)] == ["inputs of Sequential"]


def test_keyword_arguments_count(listener: Listener, patches: Patches) -> None:
    """Many models are called with nothing else."""

    class Model(torch.nn.Module):
        def forward(self, *, x: torch.Tensor) -> torch.Tensor:
            return x

    installed(listener, patches)
    for number in (1.0, 2.0):
        Model()(x=torch.tensor(number))
    assert len({record.digest for record in listener.of(Batch)}) == 2


def test_an_evaluation_feeds_nothing(listener: Listener, patches: Patches) -> None:
    """Without autograd nothing is trained on."""
    installed(listener, patches)
    with torch.no_grad():
        torch.nn.Linear(1, 1)(torch.ones(1, 1))
    assert calls_of(listener) == []


def test_a_model_that_raises_is_watched_further(listener: Listener, patches: Patches) -> None:
    """The next call is an outermost one again."""
    installed(listener, patches)
    model = torch.nn.Linear(1, 1)
    for width in (2, 1):
        try:
            model(torch.ones(1, width))
        except RuntimeError:
            continue
    assert calls_of(listener) == [(1000, 0), (1000, 1)]


DELIVERY = Batch(sequence=0, time_ns=0, loader=0, epoch=0, batch=0, indices=[1])
BACKWARD = Backward(sequence=0, time_ns=0)
END = EpochEnd(sequence=0, time_ns=0, loader=0, epoch=0, num_batches=1)


def test_what_a_loader_has_delivered_is_no_input_of_a_models_own(listener: Listener, patches: Patches) -> None:
    """Nothing counts twice; what a model is fed after a validation, or after the backward pass, counts."""
    watch = installed(listener, patches)
    model = torch.nn.Linear(1, 1)
    counts = []
    for record in (DELIVERY, BACKWARD, DELIVERY, END):
        watch.observe(record)
        model(torch.ones(1, 1))
        counts.append(len(calls_of(listener)))
    assert counts == [0, 1, 1, 2]


def test_all_data_at_once_may_be_cut_up_by_hand(listener: Listener, patches: Patches) -> None:
    """What a model is fed of it counts, the first time as later."""
    watch = installed(listener, patches)
    model = torch.nn.Linear(1, 1)
    for record in (Loader(sequence=0, time_ns=0, loader=0, dataset="D", num_batches=1), DELIVERY, BACKWARD, BACKWARD):
        watch.observe(record)
        model(torch.ones(1, 1))
    assert calls_of(listener) == [(1000, number) for number in range(4)]


def test_loaders_that_feed_the_training_end_the_watch(listener: Listener, patches: Patches) -> None:
    """From then on calls cost what they cost without it. Validations do not end it, however many there are."""
    original = torch.nn.Module.__call__
    watch = installed(listener, patches)
    for record in [DELIVERY, END, BACKWARD] * 9 + [DELIVERY, BACKWARD] * 2:
        watch.observe(record)
    assert torch.nn.Module.__call__ is not original
    watch.observe(DELIVERY)
    watch.observe(BACKWARD)
    assert torch.nn.Module.__call__ is original
