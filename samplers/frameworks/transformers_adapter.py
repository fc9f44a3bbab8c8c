"""transformers' `Trainer`: a callback that keeps a loader's position in its checkpoints."""

from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from resumable.samplers.batches import expect_skip
from resumable.samplers.errors import StateMismatchError
from resumable.samplers.loader import ResumableDataLoader
from resumable.samplers.sampler import progress_of

_KEY = "ResumableDataLoader"
"""Where the position stands in `trainer_state.json`, among the states of callbacks."""


class TrainerPosition(TrainerCallback):
    """Lets a `transformers.Trainer` go on with exactly the next batch of a `ResumableDataLoader`.

    The trainer gets its loader from a `get_train_dataloader` that returns one; it needs no `accelerator.prepare`. What was
    trained on is counted after each backward pass, so that neither workers nor the batches that the trainer fetches ahead
    for accumulated gradients count, and is part of `trainer_state.json`: it is saved as a whole, or not at all.

    The trainer finds its place in an epoch by the number of its steps, and skips what lies in front of it. That is done
    without drawing a sample. So the number of ranks, their batch size and `gradient_accumulation_steps` may change together,
    as long as their product stays; with an endless order (and `max_steps`) each may change by itself.

    Example:
        >>> class MyTrainer(Trainer):
        ...     def get_train_dataloader(self):
        ...         ranks = self.args.world_size, self.args.process_index
        ...         sampler = ResumableDistributedSampler(self.train_dataset, *ranks, batch_size=8)
        ...         return ResumableDataLoader(self.train_dataset, sampler=sampler, collate_fn=self.data_collator)
        >>> MyTrainer(..., callbacks=[TrainerPosition()]).train(resume_from_checkpoint=True)
    """

    _loader: ResumableDataLoader[Any]

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        train_dataloader: object = None,
        **_: object,
    ) -> None:
        """Go on where the checkpoint stands, if the trainer goes on from one.

        Raises:
            TypeError: the trainer has a different loader.
            ValueError: the checkpoint holds no position, `ignore_data_skip` is on, or samples are grouped in epochs.
            StateMismatchError: the position is of a different stream, or is not the one at which the trainer goes on.
        """
        if not isinstance(train_dataloader, ResumableDataLoader):
            raise TypeError(
                f"train_dataloader={type(train_dataloader).__name__}: expected a ResumableDataLoader; return one from "
                "get_train_dataloader, in a subclass of the Trainer"
            )
        config = progress_of(train_dataloader.sampler).config
        if config.groups is not None and not config.is_endless:
            raise ValueError(
                f"groups={config.groups.name!r}: epochs then differ in length, and the trainer takes all for as long as the "
                "first; use an endless order and max_steps"
            )
        self._loader = train_dataloader
        if state.global_step:
            _go_on(train_dataloader, args, state)

    def on_substep_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        """Count a batch whose gradients are accumulated."""
        self._loader.commit()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
        """Count the last batch of a step, and hand the position to the state that the trainer saves."""
        self._loader.commit()
        assert isinstance(state.stateful_callbacks, dict)
        state.stateful_callbacks[_KEY] = self._loader.state_dict()


def _go_on(loader: ResumableDataLoader[Any], args: TrainingArguments, state: TrainerState) -> None:
    if args.ignore_data_skip:
        raise ValueError(
            "ignore_data_skip=True: the trainer would take a resumed epoch for a whole one; leave it off: skipping costs "
            "nothing"
        )
    saved = state.stateful_callbacks.get(_KEY) if isinstance(state.stateful_callbacks, dict) else None
    if saved is None:
        raise ValueError("the checkpoint holds no position: it was written by a Trainer without this callback")
    loader.load_state_dict(saved)
    num_windows = args.gradient_accumulation_steps
    if progress_of(loader.sampler).config.is_endless:
        _skip(loader, state.global_step * num_windows)
        return
    # As the trainer finds its own place.
    epoch, step = divmod(state.global_step, max(-(-len(loader) // num_windows), 1))
    place = (loader.epoch, loader.start_iter) if loader.remaining else (loader.epoch + 1, 0)
    if place != (epoch, step * num_windows):
        raise StateMismatchError(
            "the checkpoint stands in epoch {} at batch {}, but by the number of its steps the trainer goes on in epoch {} "
            "at batch {}: keep the product of ranks, batch size and gradient_accumulation_steps, or use an endless "
            "order".format(*place, epoch, step * num_windows)
        )
    _skip(loader, step * num_windows)


def _skip(loader: ResumableDataLoader[Any], num_batches: int) -> None:
    """Prepare for a pass in front of which the trainer skips so many batches; where there are none, it skips nothing."""
    if num_batches:
        loader.seed_workers()
        expect_skip(loader.batch_sampler, num_batches)
