"""Looking moves nothing: whatever else is drawn, the state is that of the pass which trains."""

import threading
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from resumable.samplers import (
    PositionUnknownError,
    ResumableBatchSampler,
    ResumableDataLoader,
    ResumableRandomSampler,
)

NUM_BATCHES = 12
DATA = list(range(4 * NUM_BATCHES))


def bare(sampler):
    return ResumableBatchSampler(sampler)


def plain(sampler):
    return DataLoader(DATA, batch_size=4, sampler=sampler)


def ours(sampler):
    return ResumableDataLoader(DATA, sampler=sampler)


class Job:
    """A loop that trains, and looks in between as people do."""

    def __init__(self, make_loader):
        self.sampler = ResumableRandomSampler(DATA, seed=3, batch_size=4)
        self.loader = make_loader(self.sampler)
        self.training = None
        self.num_trained = 0
        self.kept = []

    def train(self):
        self.training = self.training or iter(self.loader)
        if self.num_trained < NUM_BATCHES:
            next(self.training)
            self.num_trained += 1

    def peek(self):
        next(iter(self.loader))

    def evaluate(self):
        assert len(list(self.loader)) == NUM_BATCHES

    def evaluate_a_part(self):
        list(islice(self.loader, 3))

    def count(self):
        assert len(DATA) == len(list(self.sampler))

    def evaluate_in_a_thread(self):
        thread = threading.Thread(target=self.evaluate)
        thread.start()
        thread.join()

    def keep_an_iterator(self):
        self.kept.append(iter(self.loader))
        next(self.kept[-1])

    def let_go(self):
        self.kept.clear()

    def read(self):
        """The number of batches in the state, or that it is refused, or warned of, as unknown."""
        try:
            return self.sampler.state_dict()["consumed"] // 4
        except (PositionUnknownError, UserWarning):
            return "unknown"


LOOKS = ["peek", "evaluate", "evaluate_a_part", "count", "evaluate_in_a_thread"]


@pytest.mark.parametrize("make_loader", [bare, plain, ours])
@given(history=st.lists(st.sampled_from([*LOOKS, *["train"] * 4]), max_size=NUM_BATCHES - 2))
def test_whoever_looks_the_state_is_that_of_the_loop_that_trains(make_loader, history):
    """Peeking, counting, evaluating whole or in part, in a thread too, between the steps. (Behind the last one, a pass
    that is broken off may be a look, or the next epoch.)"""
    job = Job(make_loader)
    for action in ["train", *history]:
        getattr(job, action)()
        assert job.num_trained == job.read()


@given(before=st.lists(st.sampled_from(LOOKS), max_size=3))
def test_looks_before_the_first_step_leave_no_trace(before):
    """Once the loop has begun, they are over."""
    job = Job(ours)
    for action in [*before, "train"]:
        getattr(job, action)()
    assert job.read() == 1


@pytest.mark.parametrize("make_loader", [bare, plain, ours])
@given(history=st.lists(st.sampled_from([*LOOKS, "keep_an_iterator", "let_go", *["train"] * 3]), max_size=14))
def test_the_state_is_right_or_refused_while_iterators_are_kept(make_loader, history):
    """Whose iterator is kept may go on with it; no step of the job is lost or repeated in silence."""
    job = Job(make_loader)
    for action in [*history, "train"]:
        getattr(job, action)()
        found = job.read()
        allowed = {job.num_trained, "unknown"} if job.kept else {job.num_trained}
        assert job.training is None or job.num_trained == NUM_BATCHES or found in allowed


def test_only_what_a_loader_of_ours_delivers_counts():
    """Going over its sampler, before the first step, is no training."""
    job = Job(ours)
    job.count()
    assert job.read() == 0


def test_an_iterator_that_was_kept_from_before_the_loop_is_asked_about():
    """The tutorials' `images, labels = next(iterator)`, and then a loop: in mid-epoch and at its end."""
    job = Job(ours)
    job.keep_an_iterator()
    job.sampler.set_epoch(0)
    job.train()
    with pytest.raises(PositionUnknownError, match="stands still while a later one is drawn"):
        job.sampler.state_dict()
    list(job.training)
    with pytest.raises(PositionUnknownError, match=r"call commit\(\) after each step, or let go"):
        job.sampler.state_dict()
    job.let_go()
    job.sampler.set_epoch(1)
    assert job.read() == 0


def test_two_passes_that_were_broken_off_are_asked_about():
    """The second may have been a look; `set_epoch` at the loop's head makes it known."""
    job = Job(ours)
    job.evaluate_a_part()
    job.peek()
    with pytest.raises(PositionUnknownError, match="left at sample 12 of the epoch, and a later one at sample 4"):
        job.sampler.state_dict()
    job.sampler.set_epoch(0)
    list(islice(job.loader, 2))
    assert job.read() == 2


def test_commits_settle_it():
    """What was committed was trained on, whatever is kept."""
    job = Job(ours)
    job.keep_an_iterator()
    for _ in range(3):
        job.train()
        job.loader.commit()
    job.evaluate()
    assert job.read() == 3


@pytest.mark.parametrize("make_loader", [bare, plain, ours])
def test_commits_that_come_once_everything_is_drawn_are_of_the_pass_that_trained(make_loader):
    """And not of a look in its middle, which began later."""
    job = Job(make_loader)
    job.train()
    job.evaluate_a_part()
    for _ in range(NUM_BATCHES - 1):
        job.train()
    for number in range(5):
        job.sampler.commit()
        assert job.read() == number + 1


@pytest.mark.parametrize("make_loader", [bare, plain, ours])
def test_a_loop_that_is_broken_off_stands_where_it_was_left(make_loader):
    """With its last step, after an evaluation that was read to its end in between."""
    sampler = ResumableRandomSampler(DATA, seed=3, batch_size=4)
    loader = make_loader(sampler)
    for number, _ in enumerate(loader):
        list(loader)
        if number == 4:
            break
    assert sampler.state_dict()["consumed"] == 5 * 4


def test_a_loop_that_is_broken_off_straight_after_an_evaluation_is_asked_about():
    """Nothing was done after the evaluation: it may have been the pass that went on with the training."""
    job = Job(ours)
    job.train()
    job.evaluate()
    assert job.read() == 1
    job.training = None
    assert job.read() == "unknown"
