from __future__ import annotations

import msgspec
import torch

from resumable.launch.evidence.rank_records import Batch, EpochEnd, Loader, Step
from resumable.launch.worker.patching import Patches
from resumable.launch.worker.watch.forwards import ForwardWatch
from tests.launch.worker.conftest import Listener


def calls_of(listener: Listener) -> list[tuple[int, int]]:
    return [(record.loader, record.batch) for record in listener.of(Batch)]


def installed(listener: Listener, patches: Patches) -> ForwardWatch:
    watch = ForwardWatch(listener)
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
STEP = Step(sequence=0, time_ns=0, step=0)
END = EpochEnd(sequence=0, time_ns=0, loader=0, epoch=0, num_batches=1)


def test_what_a_loader_has_delivered_is_no_input_of_a_models_own(listener: Listener, patches: Patches) -> None:
    """Nothing counts twice; what a model is fed after a validation, or after the step, counts."""
    watch = installed(listener, patches)
    model = torch.nn.Linear(1, 1)
    counts = []
    for record in (DELIVERY, STEP, DELIVERY, END):
        watch.observe(record)
        model(torch.ones(1, 1))
        counts.append(len(calls_of(listener)))
    assert counts == [0, 1, 1, 2]


def test_all_data_at_once_may_be_cut_up_by_hand(listener: Listener, patches: Patches) -> None:
    """What a model is fed of it counts, the first time as later."""
    watch = installed(listener, patches)
    model = torch.nn.Linear(1, 1)
    for record in (Loader(sequence=0, time_ns=0, loader=0, dataset="D", num_batches=1), DELIVERY, STEP, STEP):
        watch.observe(record)
        model(torch.ones(1, 1))
    assert calls_of(listener) == [(1000, number) for number in range(4)]


def test_a_backward_pass_goes_back_to_the_batches_of_its_forward_passes(listener: Listener, patches: Patches) -> None:
    """Through one model after another, and not to what another forward pass got."""
    watch = installed(listener, patches)
    first, second = torch.nn.Linear(2, 2), torch.nn.Linear(2, 1)
    batches = [torch.full((1, 2), float(number)) for number in range(3)]
    for line, batch in enumerate(batches):
        watch.deliver([msgspec.structs.replace(DELIVERY, sequence=line)], batch)
    losses = [second(torch.relu(first(batch))).sum() for batch in batches]
    assert watch.enter_backward((losses[0] * 2 + losses[2],)) == ([0, 2], [1])
    watch.leave_backward()
    assert watch.enter_backward((losses[1],)) == ([1], [])


def test_a_loss_that_no_model_has_made_goes_back_to_nothing_that_is_known(listener: Listener, patches: Patches) -> None:
    """Then order has to say what was trained on."""
    watch = installed(listener, patches)
    weight = torch.ones(2, requires_grad=True)
    assert watch.enter_backward(((weight * torch.ones(2)).sum(),)) == (None, [])


def test_what_is_done_again_within_a_backward_pass_is_no_input(listener: Listener, patches: Patches) -> None:
    """Activations that were not kept are computed once more from what the model had made."""
    watch = installed(listener, patches)
    watch.enter_backward(())
    torch.nn.Linear(1, 1)(torch.ones(1, 1))
    watch.leave_backward()
    assert calls_of(listener) == []
