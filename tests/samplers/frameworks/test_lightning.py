"""Lightning's `Trainer`: it finds our loader's state by itself, and goes on where its checkpoint stands."""

import logging
from importlib import import_module

import pytest
from torch.utils.data import DataLoader

from resumable.samplers import ResumableDataLoader, ResumableRandomSampler
from tests.samplers.ranks import refusals, run_ranks

# What Lightning says about this machine, these small jobs and its own dependencies.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

STOPS = {"step=1": 1, "step=4": 4, "step=6": 6, "step=8": 8, "epoch=0": 6, "epoch=1": 12}
"""Checkpoints, and the number of steps before each: of two ranks, which have six batches an epoch."""


@pytest.fixture(scope="module")
def job():
    # Not at the head of the module: importing Lightning takes seconds, and each worker of a test run collects all tests.
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    return import_module("tests.samplers.frameworks.lightning_job")


@pytest.mark.parametrize(
    ("num_workers", "has_own_order", "options"),
    [
        (0, False, {"use_distributed_sampler": True}),
        (0, True, {"use_distributed_sampler": False}),
        (2, True, {"use_distributed_sampler": True}),
        (2, False, {"use_distributed_sampler": True, "val_check_interval": 2}),
    ],
)
def test_a_job_goes_on_where_its_checkpoint_stands(job, tmp_path, num_workers, has_own_order, options):
    """In mid-epoch, with an epoch's last batch and after it, on two ranks, in torch's order and in one of the user's own."""

    def train(rank, **paths):
        sampler = job.sampler_of(rank, 2, job.Backwards() if has_own_order else "randperm")
        loader = ResumableDataLoader(job.Numbers(), sampler=sampler, num_workers=num_workers)
        steps = job.train(loader, devices=2, strategy="ddp", **options, **paths)
        assert (
            not has_own_order or paths.get("checkpoint") or steps[0][2] == [45.0 - rank - 2 * row for row in range(4)]
        )
        return steps

    for expected, resumed in run_ranks(2, tmp_path / "store", _expected_and_resumed(job, train, tmp_path)):
        assert expected == resumed


def test_a_plain_loader_goes_on_with_a_callback_that_keeps_the_samplers_position(job, tmp_path):
    """Without workers: torch's own loader has no state."""

    def train(rank, **paths):
        sampler = job.sampler_of(rank, 2)
        loader = DataLoader(job.Numbers(), batch_size=4, sampler=sampler)
        return job.train(loader, callbacks=[job.Position(sampler)], devices=2, strategy="ddp", **paths)

    for expected, resumed in run_ranks(2, tmp_path / "store", _expected_and_resumed(job, train, tmp_path)):
        assert expected == resumed


def test_an_epoch_that_lightning_cuts_short_is_left_for_the_next(job, tmp_path):
    """From a checkpoint in its middle or after its end; with its last batch, nobody can know that it was the last."""

    def train(rank, **paths):
        loader = ResumableDataLoader(job.Numbers(), sampler=job.sampler_of(rank, 2))
        return job.train(loader, limit_train_batches=5, devices=2, strategy="ddp", **paths)

    stops = {"step=3": 3, "epoch=0": 5, "step=7": 7, "epoch=1": 10}
    for expected, resumed in run_ranks(2, tmp_path / "store", _expected_and_resumed(job, train, tmp_path, stops)):
        assert expected == resumed
    for told in refusals(2, tmp_path / "again", _expected_and_resumed(job, train, tmp_path / "2", {"step=5": 5})):
        assert "StateMismatchError: the loaded state stands in epoch 0 at sample 40 of 46" in told


def _expected_and_resumed(job, train, folder, stops=STOPS):
    """What each rank does: train once as a whole, then from each checkpoint."""

    def expected_and_resumed(rank):
        job.as_rank(rank, 2)
        whole = train(rank, checkpoints=folder / "checkpoints")
        resumed = {name: train(rank, checkpoint=folder / "checkpoints" / f"{name}.ckpt") for name in stops}
        return {name: whole[stop:] for name, stop in stops.items()}, resumed

    return expected_and_resumed


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (ResumableDataLoader, "expected one of this package's samplers, on several ranks ResumableDistributedSampler"),
        (DataLoader, "On several ranks give the loader a ResumableDistributedSampler"),
    ],
)
def test_a_sampler_that_lightning_would_replace_is_refused(job, tmp_path, kind, message):
    """On several ranks it puts a distributed sampler of its own around, or in the place of, one that is none."""

    def train(rank):
        job.as_rank(rank, 2)
        sampler = ResumableRandomSampler(job.Numbers(), batch_size=4)
        return job.train(kind(job.Numbers(), batch_size=4, sampler=sampler), devices=2, strategy="ddp")

    for told in refusals(2, tmp_path / "store", train):
        assert message in told


@pytest.mark.parametrize("stop", [1, 6, 9])
def test_a_fabric_job_saves_and_loads_the_loader_with_the_model(job, tmp_path, stop):
    """The loader stays out of `setup_dataloaders`, and is part of the state like any other object."""

    def whole_and_resumed(rank):
        job.as_rank(rank, 2)
        return [job.fabric_steps(rank, 2, stop, tmp_path / "checkpoint", resume=resume) for resume in (False, True)]

    for whole, resumed in run_ranks(2, tmp_path / "store", whole_and_resumed):
        assert whole[stop:] == resumed


def test_fabrics_own_loader_is_refused(job, tmp_path):
    """It names the epochs by the number of passes since the start of the process."""

    def read(rank):
        job.as_rank(rank, 1)
        loader = ResumableDataLoader(job.Numbers(), sampler=job.sampler_of(rank, 1))
        return list(job.lightning.Fabric(accelerator="cpu", devices=1).setup_dataloaders(loader))

    [told] = refusals(1, tmp_path / "store", read)
    assert "Fabric would count the epochs from 0 again" in told
