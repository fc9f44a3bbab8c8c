"""Loops on accelerate: our loader goes through `Accelerator.prepare` unharmed, everything else is refused."""

from importlib import import_module
from itertools import islice

import pytest
import torch
from torch.utils.data import DataLoader

from resumable.samplers import (
    ResumableBatchSampler,
    ResumableDataLoader,
    ResumableDistributedSampler,
    ResumableRandomSampler,
)
from tests.samplers.ranks import refusals, run_ranks

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def job():
    # Not at the head of the module: importing accelerate takes seconds, and each worker of a test run collects all tests.
    return import_module("tests.samplers.frameworks.accelerate_job")


@pytest.mark.parametrize("names_epochs", [True, False])
@pytest.mark.parametrize("options", [{}, {"num_workers": 2, "persistent_workers": True}], ids=str)
@pytest.mark.parametrize("num_ranks", [1, 2])
def test_a_job_goes_on_where_its_saved_state_stands(job, tmp_path, num_ranks, options, names_epochs):
    """After the first batch, after the last of an epoch and in the middle of the next; gradients too are in step.

    A loop that names no epochs, as accelerate's loader asks for none, reads the same.
    """

    def steps(accelerator, checkpoint=None):
        return job.steps(accelerator, job.loader_of(accelerator, **options), checkpoint, names_epochs=names_epochs)

    def resumed_and_expected(rank):
        accelerator = job.accelerator_of(rank, num_ranks, gradient_accumulation_steps=5)
        expected = list(job.steps(accelerator, job.loader_of(accelerator)))
        per_epoch, resumed = len(expected) // job.NUM_EPOCHS, []
        stops = [1, per_epoch, per_epoch + 4]
        for stop in stops:
            checkpoint = tmp_path / f"{stop}"
            accelerator.free_memory()
            list(islice(steps(accelerator), stop))
            accelerator.save_state(checkpoint)
            accelerator.free_memory()
            resumed.append(list(steps(accelerator, checkpoint)))
        return [expected[stop:] for stop in stops], resumed

    for expected, resumed in run_ranks(num_ranks, tmp_path / "store", resumed_and_expected):
        assert expected == resumed


def test_gradients_are_applied_when_accelerates_own_loader_would_have_them_applied(job, tmp_path):
    """The last batch of an epoch ends an accumulation; the end of an evaluation inside it does not."""

    def applied(accelerator, loader, evaluation):
        loader, evaluation, flags = *accelerator.prepare(loader, evaluation), []
        for _ in loader:
            list(evaluation)
            with accelerator.accumulate():
                flags.append(accelerator.sync_gradients)
        return flags

    def theirs_and_ours(rank):
        accelerator = job.accelerator_of(rank, 1, gradient_accumulation_steps=5)
        theirs = applied(accelerator, *(DataLoader(job.Numbers(), batch_size=4) for _ in range(2)))
        accelerator.free_memory()
        return theirs, applied(accelerator, *(job.loader_of(accelerator) for _ in range(2)))

    [(theirs, ours)] = run_ranks(1, tmp_path / "store", theirs_and_ours)
    assert (len(theirs), sum(theirs)) == (12, 3)
    assert theirs == ours


@pytest.mark.parametrize(("device_placement", "device"), [(True, "meta"), (False, "cpu")])
def test_batches_are_moved_to_the_accelerators_device(job, tmp_path, device_placement, device):
    """As its own loader would, and not where the accelerator was told not to."""

    def device_of_a_batch(rank):
        accelerator = job.accelerator_of(rank, 1, device_placement=device_placement)
        accelerator.state.device = torch.device("meta")
        return next(iter(accelerator.prepare(job.loader_of(accelerator)))).device.type

    assert [device] == run_ranks(1, tmp_path / "store", device_of_a_batch)


def a_distributed_sampler(data):
    return DataLoader(data, batch_size=4, sampler=ResumableDistributedSampler(data, 2, 0, batch_size=4))


def a_random_sampler_and_workers(data):
    return DataLoader(data, batch_size=4, sampler=ResumableRandomSampler(data, batch_size=4), num_workers=2)


def a_batch_sampler(data):
    return DataLoader(data, batch_sampler=ResumableBatchSampler(ResumableDistributedSampler(data, 2, 0, batch_size=4)))


@pytest.mark.parametrize("loader_of", [a_distributed_sampler, a_random_sampler_and_workers, a_batch_sampler])
@pytest.mark.parametrize("num_ranks", [1, 2])
def test_a_sampler_in_accelerates_own_loader_is_refused(job, tmp_path, num_ranks, loader_of):
    """It reads a batch ahead, and on several ranks deals out once more what was dealt out: half of the data were lost."""

    def read(rank):
        accelerator = job.accelerator_of(rank, num_ranks)
        next(iter(accelerator.prepare(loader_of(job.Numbers()))))

    for told in refusals(num_ranks, tmp_path / "store", read):
        assert "Give accelerator.prepare a ResumableDataLoader" in told


def test_skipping_the_batches_that_a_loaded_state_has_skipped_is_refused(job, tmp_path):
    """accelerate's guide loads and then skips; done with ours it would skip twice."""

    def skip(rank):
        accelerator = job.accelerator_of(rank, 1)
        loader = accelerator.prepare(job.loader_of(accelerator))
        next(iter(accelerator.skip_first_batches(loader, 3)))

    [told] = refusals(1, tmp_path / "store", skip)
    assert "in place of skip_first_batches, accelerator.load_state" in told
    assert "in a Trainer of transformers, callbacks=[TrainerPosition()] does" in told


@pytest.mark.parametrize(
    ("options", "dealt_to", "message"),
    [
        ({}, (0, 1), "the sampler deals to rank 0 of 1, but this is accelerate's process {rank} of 2"),
        ({}, (0, 4), "the sampler deals to rank 0 of 4, but this is accelerate's process {rank} of 2"),
        ({"split_batches": True}, None, "split_batches=True: the sampler deals the batches out itself"),
        ({"dispatch_batches": True}, None, "dispatch_batches=True: the sampler deals the batches out itself"),
    ],
)
def test_an_accelerator_that_would_deal_otherwise_is_refused(job, tmp_path, options, dealt_to, message):
    """Each rank must read its own part, and no other."""

    def prepare(rank):
        accelerator = job.accelerator_of(rank, 2, dataloader_config=job.DataLoaderConfiguration(**options))
        replica, num_replicas = dealt_to or (rank, 2)
        sampler = ResumableDistributedSampler(job.Numbers(), num_replicas, replica, batch_size=4)
        accelerator.prepare(ResumableDataLoader(job.Numbers(), sampler=sampler))

    for rank, told in enumerate(refusals(2, tmp_path / "store", prepare)):
        assert message.format(rank=rank) in told
