"""transformers' `Trainer`: with one callback it goes on where its checkpoint stands."""

import json
from importlib import import_module
from importlib.util import find_spec

import pytest

from resumable.samplers import Endless, TokenBatches
from tests.samplers.ranks import refusals, run_ranks

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # what transformers says about this machine and small jobs
    pytest.mark.skipif(find_spec("transformers") is None, reason="TRANSFORMERS NOT TESTED: it is not installed"),
]

BUDGET = TokenBatches([1 + sample % 7 for sample in range(46)], 16)


@pytest.fixture(scope="module")
def job():
    # Not at the head of the module: importing transformers takes seconds.
    return import_module("tests.samplers.frameworks.transformers_job")


def batches_from(num_batches, num_windows, stop):
    """The number of batches before a step, where the last window of each epoch is short."""
    num_steps = -(-num_batches // num_windows)
    return stop // num_steps * num_batches + stop % num_steps * num_windows


@pytest.mark.parametrize(("num_ranks", "num_windows", "num_workers"), [(1, 1, 0), (1, 4, 2), (2, 1, 2), (2, 4, 0)])
def test_a_job_goes_on_where_any_of_its_checkpoints_stands(job, tmp_path, num_ranks, num_windows, num_workers):
    """In mid-epoch, on an epoch's border and in the last one; accumulated gradients and workers or not."""
    options = {"gradient_accumulation_steps": num_windows, "dataloader_num_workers": num_workers}
    num_batches = -(-46 // (4 * num_ranks))
    num_steps = 3 * -(-num_batches // num_windows)
    stops = sorted({1, num_steps // 3 - 1, num_steps // 3, num_steps - 1})

    def whole_and_resumed(rank):
        job.as_rank(rank, num_ranks)
        whole = job.train(tmp_path, **options)
        resumed = [job.train(tmp_path, checkpoint=stop, **options) for stop in stops]
        return [whole[batches_from(num_batches, num_windows, stop) :] for stop in stops], resumed

    for expected, resumed in run_ranks(num_ranks, tmp_path / "store", whole_and_resumed):
        assert expected == resumed


def on(num_ranks, job, folder, name, **options):
    """What each rank is trained on."""

    def trained(rank):
        job.as_rank(rank, num_ranks)
        return job.train(folder, **options)

    return run_ranks(num_ranks, folder.parent / name, trained)


def test_ranks_give_way_to_accumulation(job, tmp_path):
    """Two ranks, then one that accumulates two batches: the same samples in each step, over all epochs."""
    one, two = on(2, job, tmp_path / "run", "first")
    [alone] = on(1, job, tmp_path / "run", "second", checkpoint=8, gradient_accumulation_steps=2)
    steps = [sorted(first + second) for first, second in zip(alone[::2], alone[1::2], strict=True)]
    assert [sorted(first + second) for first, second in zip(one, two, strict=True)][8:] == steps


def test_a_run_without_epochs_changes_its_ranks_at_will(job, tmp_path):
    """Batches by a budget of tokens, two ranks and then one: each batch comes once, and none is left out."""
    options = {"sampler": {"order": Endless("randperm"), "groups": BUDGET, "batch_size": 1}}
    one, two = on(2, job, tmp_path / "run", "first", max_steps=10, **options)
    [alone] = on(1, job, tmp_path / "run", "second", checkpoint=7, max_steps=27, **options)
    [whole] = on(1, job, tmp_path / "whole", "third", max_steps=34, **options)
    before = [batch for pair in zip(one[:7], two[:7], strict=True) for batch in pair]
    assert whole == before + alone


def test_nothing_is_drawn_for_what_is_skipped(job, tmp_path, monkeypatch):
    """However far an epoch has gone, the trainer skips empty batches."""
    [trained] = on(1, job, tmp_path / "run", "first")
    drawn = []
    skipping = import_module("resumable.samplers.frameworks.skipping").SkippedBatches
    original = skipping.__next__

    def noted(batches):
        drawn.extend([original(batches)])
        return drawn[-1]

    monkeypatch.setattr(skipping, "__next__", noted)

    def resumed(rank):
        job.as_rank(rank, 1)
        return job.train(tmp_path / "run", checkpoint=9), drawn

    [(batches, drawn)] = run_ranks(1, tmp_path / "second", resumed)
    assert (trained[9:], [len(batch) for batch in drawn[:10]]) == (batches, [0] * 9 + [4])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"per_device_train_batch_size": 8}, "StateMismatchError: the checkpoint stands in epoch 0 at batch 2"),
        ({"gradient_accumulation_steps": 2}, "keep the product of ranks, batch size and gradient_accumulation_steps"),
        ({"ignore_data_skip": True}, "ValueError: ignore_data_skip=True"),
        ({"sampler": {"shuffle": False}}, "StateMismatchError: the state is of a different stream"),
        ({"sampler": {"groups": BUDGET, "batch_size": 1}}, "ValueError: groups='token-batches/1'"),
        ({"callbacks": ()}, "RuntimeError: accelerate.data_loader.SkipBatchSampler.__iter__ draws"),
    ],
)
def test_what_would_lose_samples_is_refused(job, tmp_path, options, message):
    """Another global batch, an epoch cut short, a different stream, epochs of different lengths, no callback."""

    def resumed(rank):
        job.as_rank(rank, 1)
        job.train(tmp_path / "run", max_steps=5)
        job.train(tmp_path / "run", checkpoint=4, **options)

    [told] = refusals(1, tmp_path / "store", resumed)
    assert message in told


def test_a_checkpoint_without_a_position_is_refused(job, tmp_path):
    """As one that a Trainer with transformers' own loader has written."""

    def resumed(rank):
        job.as_rank(rank, 1)
        job.train(tmp_path, max_steps=3)
        file = tmp_path / "checkpoint-2" / "trainer_state.json"
        state = json.loads(file.read_text())
        del state["stateful_callbacks"]["ResumableDataLoader"]
        file.write_text(json.dumps(state))
        job.train(tmp_path, checkpoint=2)

    [told] = refusals(1, tmp_path / "store", resumed)
    assert "the checkpoint holds no position" in told


def test_a_trainer_with_a_loader_of_its_own_is_told_what_to_write(job, tmp_path):
    """The callback alone changes no order."""

    def train(rank):
        job.as_rank(rank, 1)
        job.train(tmp_path, job=job.Trainer)

    [told] = refusals(1, tmp_path / "store", train)
    assert "return one from get_train_dataloader" in told


def test_the_callback_is_restored_with_others(job, tmp_path):
    """`restore_callback_states_from_checkpoint` makes callbacks anew; ours has no state of its own."""

    def whole_and_resumed(rank):
        job.as_rank(rank, 1)
        whole = job.train(tmp_path)
        return whole[5:], job.train(tmp_path, checkpoint=5, restore_callback_states_from_checkpoint=True)

    [(expected, resumed)] = run_ranks(1, tmp_path / "store", whole_and_resumed)
    assert expected == resumed
