"""Why state is not as it should be: what was not restored; each class is a code of `results.json`."""

from __future__ import annotations

from typing import Literal

from resumable.launch.explain.codes.statement import Reason


class AugmentationVaries(Reason, frozen=True, kw_only=True):
    """Random state."""

    template = "the random state of the augmentation was not restored, or depends on the process: see SeededDataset"
    remedy = (
        "put the data set into a `SeededDataset`, or save each rank's random state "
        "(`torch.get_rng_state()`, and NumPy's and Python's) with the model"
    )


class StateOfPart(Reason, frozen=True, kw_only=True):
    """Right batches and parameters, and yet something else is saved."""

    template = (
        "training is right up to there, so that this part of the state, or what it goes by, was not restored: an average "
        "(EMA), for example, or the count of its updates"
    )
    remedy = "load what is saved there into what it was saved from, before training goes on"


class ComponentNotRestored(Reason, frozen=True, kw_only=True):
    """What must be saved and loaded."""

    template = "{why}"
    kind_by = ("component", "is_lost")
    component: Literal["parameters", "optimizer", "buffers", "scaler", "gradients", "rate"]
    is_lost: bool = False
    is_fresh: bool = False
    """It is what the job began with."""

    @property
    def advice(self) -> str:
        """Of the component."""
        if self.is_lost and self.component == "optimizer":
            return _SAVE_AND_LOAD.format("the optimizer's")
        return _LOAD_BY_NAME if self.is_fresh else ADVICE[self.component]

    def __str__(self) -> str:
        if self.is_fresh:
            return self.filled(why="they are those that the job began with")
        is_accumulated = self.component == "gradients"
        return self.filled(why="micro-batches before the save are in no step" if is_accumulated else "")


_SAVE_AND_LOAD = "save {} `state_dict()` with the model, and load it too"
_LOAD_BY_NAME = (
    "load the model's `state_dict()` before training goes on, by the names that the model has: `strict=False` passes over "
    "all others"
)
ADVICE = {
    "parameters": (
        "save all of the model's `state_dict()` as it is trained (no average in its place, and no fewer bits), and load it "
        "before training goes on"
    ),
    "optimizer": "load all of the optimizer's `state_dict()`, into an optimizer with its parameters in the same order",
    "buffers": "save and load buffers too, such as running statistics, by each rank that has its own",
    "scaler": _SAVE_AND_LOAD.format("the GradScaler's"),
    "gradients": "save their gradients too, or go on at the first of them",
    "rate": _SAVE_AND_LOAD.format("the learning-rate scheduler's"),
}


class SavedInPassing(Reason, frozen=True, kw_only=True):
    """What was saved is not what is trained."""

    template = (
        "it started from the parameters that were saved, and those stood in the model only while it saved: training went on "
        "from others, before and after it, as where an average (EMA) is put in their place for a validation"
    )
    remedy = "save the parameters that are trained: before others are put in their place, or when they are back"


class UnsavedBuffersDiffer(Reason, frozen=True, kw_only=True):
    """Of what models keep and leave out of their state."""

    template = (
        "buffers that no `state_dict()` holds (`persistent=False`) are not those that there were at the save: "
        "{names:of {num_names}}"
    )
    remedy = "save and load those that training changes: let them be persistent"
    names: tuple[str, ...]
    """The first of them."""
    num_names: int


class FollowsFromBatches(Reason, frozen=True, kw_only=True):
    """No fault of its own."""

    template = (
        "it follows from the batches{rank:? of rank {rank}}, which differ already"
        "{rank:?: the ranks share their gradients}"
    )
    rank: int | None = None
    """Another rank of its group, whose gradients it shares; None: its own."""


class FollowsFromRank(Reason, frozen=True, kw_only=True):
    """No fault of its own."""

    template = "it follows from the state of rank {rank}, which differs already: the ranks share their gradients"
    rank: int


class FollowsFromParameters(Reason, frozen=True, kw_only=True):
    """No fault of its own."""

    template = "it follows from the parameters of an earlier process, which differ already, and which it went on with"


class BuffersNotRestored(Reason, frozen=True, kw_only=True):
    """Running statistics, for example."""

    template = "parameters are right but buffers, such as running statistics, are not"
    remedy = ADVICE["buffers"]


class ScaleNotRestored(Reason, frozen=True, kw_only=True):
    """Only the loss differs."""

    template = (
        "batches and parameters are right but the loss differs from step {step} on: what scales it was not restored"
    )
    remedy = "save what scales the loss, such as a GradScaler's `state_dict()`, with the model, and load it too"
    step: int


class ModelNotRestored(Reason, frozen=True, kw_only=True):
    """The first step began with parameters that the job never had."""

    template = "batches are right but the parameters that it started from are not"
    remedy = ADVICE["parameters"]


class InputsDiffer(Reason, frozen=True, kw_only=True):
    """The loss differs before anything else does."""

    template = (
        "samples and parameters{is_later:? after the step before} are right, and yet the loss of step {step} is not, before "
        "its update: {why}{is_later:?; or something changes the parameters between steps (slow weights, clipping)}"
    )
    kind_by = ("is_generator_right", "is_later")
    step: int
    is_generator_right: bool = False
    """When the first batch of the process came, torch's generator was as it had been at the save."""
    is_later: bool = False
    """The process has done steps before it that were right."""

    def __str__(self) -> str:
        return self.filled(why=_NOT_DRAWN if self.is_generator_right else _DRAWN)

    @property
    def advice(self) -> str:
        """What to do about this one."""
        others = "save what else goes into the loss, and load it too"
        return others if self.is_generator_right else f"{_SET_LAST}; or {others}"


_DRAWN = (
    "what was made of the samples differs (augmentation, seeds of loader workers), what the model draws (dropout), or what "
    "else goes into the loss (a hidden state, a count, an average); --content tells whether it is the samples"
)
_NOT_DRAWN = (
    "torch's generator was as it had been at the save, so that something else goes into the loss (a hidden state, a queue, "
    "a count, an average, a different generator, seeds of loader workers, whether layers train), unless anything draws "
    "between the save and that step (a validation); --content tells whether it is the samples"
)
_SET_LAST = (
    "save each rank's random state (`torch.get_rng_state()`, and NumPy's and Python's) with the model, and set it last, "
    "when the loader's iterator is made, which draws from it"
)


class UntrainedWeightsDiffer(Reason, frozen=True, kw_only=True):
    """Of what models hold and no step changes."""

    template = (
        "what modules hold and no step trains (frozen weights, an average of the model, a teacher, buffers of a loss) is "
        "not what there was at the save: {names:of {num_names}}"
    )
    remedy = "save and load it too, or make it as it was made first, and freeze the same weights"
    names: tuple[str, ...]
    """The first of them."""
    num_names: int


class GeneratorsElsewhere(Reason, frozen=True, kw_only=True):
    """Of random generators, where numbers do not repeat."""

    template = (
        "its steps draw random numbers (dropout, augmentation), and the generator of {names} did not go on where it was at "
        "the save, so that they are not those that it would have drawn without a stop"
    )
    remedy = _SET_LAST
    names: tuple[str, ...]
    """python, numpy, torch or cuda."""


class RandomStateOfRanks(Reason, frozen=True, kw_only=True):
    """Of some ranks alone."""

    template = (
        "samples and parameters are right, and yet the first loss of {which} after the restart is not, though that of the "
        "other ranks is: did every rank load rank 0's random state, or a hidden state of rank 0? Each has its own"
    )
    remedy = "gather the random state of all ranks, and whatever else is each one's own, and let each set its own"
    ranks: tuple[int, ...]
    step: int

    def __str__(self) -> str:
        return self.filled(which=f"rank {', '.join(map(str, self.ranks))}")


class SomeStateNotRestored(Reason, frozen=True, kw_only=True):
    """Nothing tells which."""

    template = "batches are right but {differing} from step {step} on"
    remedy = "save the optimizer's, the scheduler's and each rank's random state with the model, and load them too"
    kind_by = ("what",)
    what: Literal["parameters", "loss"]
    step: int

    def __str__(self) -> str:
        return self.filled(differing="the parameters differ" if self.what == "parameters" else "the loss differs")
