"""Libraries whose iterators fetch ahead of the loop: what is recorded is what the loop receives, when it does."""

from __future__ import annotations

import pytest

from resumable.launch.evidence.rank_records import Batch, EpochBegin, EpochEnd
from resumable.launch.worker.watch.framework_iterators import _due
from resumable.launch.worker.watch.loaders import Fetched, PrefetchedBatches
from tests.launch.worker.test_entry import PRELUDE, RunRank, run_rank

pytestmark = pytest.mark.slow

__all__ = ["run_rank"]

ALONE = """
for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE"):
    del os.environ[name]
from accelerate import Accelerator
accelerator = Accelerator(cpu=True)
"""
LOOP = """
for epoch in range(2):
    for (x,) in loader:
        model(x).sum().backward()
        optimizer.step()
"""
TRAINED = ["Batch", "Backward", "Step"]


@pytest.mark.parametrize("dispatches", [False, True])
def test_accelerate_hands_out_one_batch_later_than_it_fetches(run_rank: RunRank, *, dispatches: bool) -> None:
    """Each batch is recorded right before its own step, the last one of an epoch too."""
    ended = run_rank(
        PRELUDE
        + ALONE
        + f"accelerator.dataloader_config.dispatch_batches = {dispatches}"
        + """
model, optimizer, loader = accelerator.prepare(model, optimizer, DataLoader(data, batch_size=2))
"""
        + LOOP
    )
    assert (ended.exit_code, ended.errors) == (0, "")
    epoch = ["EpochBegin", *TRAINED * 3, "EpochEnd"]
    assert ended.kinds() == ["Start", "Loader", *epoch, *epoch, "Exit"]
    assert [record.indices for record in ended.of(Batch)] == [[0, 1], [2, 3], [4, 5]] * 2


def fetched(number: int) -> list[Fetched]:
    """So many batches."""
    return [Fetched({"batch": one}, None) for one in range(number)]


@pytest.mark.parametrize(
    ("num", "is_over", "num_parts", "expected"),
    [
        pytest.param(2, False, 1, [0], id="one ahead"),
        pytest.param(3, False, 1, [1], id="the first dropped"),
        pytest.param(1, True, 1, [0], id="the last"),
        pytest.param(2, True, 1, [1], id="the last, the first dropped"),
        pytest.param(4, False, 2, [0, 1], id="two ranks"),
        pytest.param(3, True, 2, [0, 1], id="two ranks, a remainder"),
        pytest.param(1, True, 2, [0], id="two ranks, the remainder"),
        pytest.param(4, True, 2, [2, 3], id="two ranks, the last, the first dropped"),
        pytest.param(0, False, 2, [], id="a rank that fetches nothing"),
    ],
)
def test_what_was_fetched_before_the_last_is_due(num: int, is_over: bool, num_parts: int, expected: list[int]) -> None:
    """All that was fetched ahead is kept, and nothing else."""
    prefetched = PrefetchedBatches(fetched(num), [{}] if is_over else [])
    due = [one.fields["batch"] for one in _due(prefetched, num_parts)]
    assert (due, prefetched.fetched) == (expected, fetched(num)[max(expected, default=-1) + 1 :])


def test_batches_that_accelerate_skips_are_received_by_nobody(run_rank: RunRank) -> None:
    """`skip_first_batches` fetches and throws away, or skips in the sampler: the loop begins with the second batch."""
    ended = run_rank(
        PRELUDE
        + ALONE
        + """
model, optimizer, loader = accelerator.prepare(model, optimizer, DataLoader(data, batch_size=2))
for (x,) in accelerator.skip_first_batches(loader, 1):
    model(x).sum().backward()
    optimizer.step()
"""
    )
    assert (ended.exit_code, ended.errors) == (0, "")
    assert [record.indices for record in ended.of(Batch)] == [[2, 3], [4, 5]]


def test_a_validation_within_accelerates_training_pass_is_told_apart(run_rank: RunRank) -> None:
    """A second loader that is iterated between two batches of the first has records of its own."""
    ended = run_rank(
        PRELUDE
        + ALONE
        + """
held_out = DataLoader(TensorDataset(torch.arange(2.0).reshape(2, 1)), batch_size=1)
model, optimizer, loader, held_out = accelerator.prepare(model, optimizer, DataLoader(data, batch_size=2), held_out)
for (x,) in loader:
    model(x).sum().backward()
    optimizer.step()
    with torch.no_grad():
        for (y,) in held_out:
            model(y)
"""
    )
    assert (ended.exit_code, ended.errors) == (0, "")
    trained = [record.indices for record in ended.of(Batch) if record.grad_enabled]
    validated = [record.indices for record in ended.of(Batch) if not record.grad_enabled]
    assert (trained, validated) == ([[0, 1], [2, 3], [4, 5]], [[0], [1]] * 3)


def test_lightnings_prefetch_is_not_what_the_loop_receives(run_rank: RunRank) -> None:
    """For a loader without a length Lightning fetches one batch ahead; each is recorded before its own step."""
    ended = run_rank(
        "import lightning.pytorch as pl\n"
        + PRELUDE
        + """
class Stream(torch.utils.data.IterableDataset):
    def __iter__(self):
        return iter(torch.arange(6.0).reshape(6, 1))

class Module(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = model
    def training_step(self, batch, batch_idx):
        return self.layer(batch).sum()
    def configure_optimizers(self):
        return optimizer

trainer = pl.Trainer(max_epochs=2, accelerator="cpu", logger=False, enable_checkpointing=False,
                     enable_progress_bar=False, enable_model_summary=False)
trainer.fit(Module(), DataLoader(Stream(), batch_size=2))
"""
    )
    assert ended.exit_code == 0, ended.errors
    epoch = ["EpochBegin", *TRAINED * 3, "EpochEnd"]
    assert ended.kinds() == ["Start", "Loader", *epoch, *epoch[:-1], "Exit"]
    digests = [record.digest for record in ended.of(Batch)]
    assert (digests[:3], len(set(digests))) == (digests[3:], 3)


@pytest.mark.parametrize("workers", [0, 2])
def test_torchdatas_loader_is_recorded_like_torchs(run_rank: RunRank, workers: int) -> None:
    """With workers that read ahead too."""
    ended = run_rank(
        PRELUDE
        + f"""
from torchdata.stateful_dataloader import StatefulDataLoader
loader = StatefulDataLoader(data, batch_size=2, num_workers={workers})
"""
        + LOOP
    )
    assert ended.exit_code == 0, ended.errors
    assert [record.indices for record in ended.of(Batch)] == [[0, 1], [2, 3], [4, 5]] * 2
    assert len(ended.of(EpochEnd)) == 2


@pytest.mark.parametrize("workers", [0, 2])
def test_what_torchdata_fetches_to_find_its_place_is_not_recorded(run_rank: RunRank, workers: int) -> None:
    """A sampler without a state of its own is fast-forwarded while the iterator is made."""
    ended = run_rank(
        PRELUDE
        + f"""
from torchdata.stateful_dataloader import StatefulDataLoader
def make():
    return StatefulDataLoader(data, batch_size=2, num_workers={workers})
first = make()
(x,) = next(iter(first))
state = first.state_dict()
del first
loader = make()
loader.load_state_dict(state)
for (x,) in loader:
    model(x).sum().backward()
    optimizer.step()
"""
    )
    assert ended.exit_code == 0, ended.errors
    assert [record.indices for record in ended.of(Batch)] == [[0, 1], [2, 3], [4, 5]]
    assert len(ended.of(EpochBegin)) == 2
