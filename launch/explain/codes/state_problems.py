"""What can be wrong with a run's state: after steps, in what it saved, in what it went on with; each class is a code."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Literal

from resumable.launch.explain.codes.statement import Problem
from resumable.launch.reading.start_states import Beside, Component
from resumable.launch.system.wording import counted, listed_in_part

_STATE: dict[Component | Beside, str] = {
    "parameters": "parameters",
    "optimizer": "optimizer state",
    "buffers": "buffers",
    "scaler": "gradient scaler state",
    "gradients": "accumulated gradients",
    "untrained": "weights that no step trains",
    "unsaved": "buffers that no `state_dict()` holds",
}


class StateContradicts(Problem, frozen=True, kw_only=True):
    """Batches seem wrong where the state shows that none was."""

    template = (
        "{what}; yet losses and parameters are the uninterrupted run's to the last bit after each of {num_steps:step}: "
        "the batches were misread, or which of them came makes no difference"
    )
    what: str
    """What the batches seem to show."""
    num_steps: int


class StepLeftOut(Problem, frozen=True, kw_only=True):
    """A gradient scaler left out a step in one run alone, so that the batches of all steps behind it are others."""

    template = (
        "{what}; but a gradient scaler left out the step after {num_steps:step}, as it did in no uninterrupted run: numbers "
        "do not repeat, so that nothing shows whether a gradient overflowed by chance"
    )
    remedy = "try again: by chance it does not happen twice"
    what: str
    """What the batches seem to show."""
    num_steps: int


class StateDiffers(Problem, frozen=True, kw_only=True):
    """After a step something is not the uninterrupted run's, bit for bit."""

    template = "rank {rank} has {differing} than the reference from step {step} on"
    kind_by = ("what",)
    rank: int
    step: int
    what: Literal["loss", "buffers", "parameters"]

    def __str__(self) -> str:
        return self.filled(differing="a different loss" if self.what == "loss" else f"different {self.what}")


class FinalParametersDiffer(Problem, frozen=True, kw_only=True):
    """The end is different, though no step was seen to be."""

    template = "rank {rank} ends with different parameters than the reference"
    rank: int


class SavedStateDiffers(Problem, frozen=True, kw_only=True):
    """A checkpoint holds something else than the uninterrupted run's of the same step."""

    template = "rank {rank} saved different values{under}{in_file} after {num_steps:step} than the uninterrupted run"
    kind_by = ("keys",)
    rank: int
    num_steps: int
    keys: tuple[str, ...]
    path: str = ""

    def __str__(self) -> str:
        under = f" under {', '.join(map(repr, self.keys))}" if any(self.keys) else ""
        return self.filled(under=under, in_file=f" in {self.path}" if self.path else "")


MAX_NAMES = 3
"""Names that are given of parts of the state; how many more there are is counted."""


class NotRestored(Problem, frozen=True, kw_only=True):
    """A process went on with something else than the run had at the save that it loaded."""

    template = "{who} went on from step {step} {what}{at_save}{which}"
    kind_by = ("component", "is_lost")
    rank: int | None
    """None: all ranks together, each of which has its part."""
    incarnation: int
    step: int
    component: Component | Beside
    is_lost: bool = False
    """It had nothing of it."""
    names: tuple[str, ...] = ()
    """Of what is different, as far as that is known."""
    num_names: int = 0
    """How many there are, those that are not named included."""
    save_step: int
    """Steps that the save holds."""
    path: str = ""

    def __str__(self) -> str:
        what = _STATE[self.component]
        who = "the ranks together" if self.rank is None else f"rank {self.rank}"
        target = PurePath(self.path).name or "its state"
        at_save = f" this run had when it saved {target} after {counted(self.save_step, 'step')}"
        is_named = self.names and self.component != "scaler"  # which have numbers alone
        which = f": {listed_in_part([*map(_told, self.names)], self.num_names)}" if is_named else ""
        verb = f"without the {what} that" if self.is_lost else f"with {what} different from what"
        return self.filled(who=f"{who} in incarnation {self.incarnation}", what=verb, at_save=at_save, which=which)


def _told(name: str) -> str:
    """A parameter that no module has is named after its place in the optimizers."""
    place = re.fullmatch(r"(\d+)/(\d+)/(\d+)", name)
    if not place:
        return name
    optimizer = f"optimizer {place[1]}" if int(place[1]) else "the optimizer"
    return f"parameter {place[3]} of {optimizer}'s group {place[2]}, which no module has"


class ScheduleBegunAgain(Problem, frozen=True, kw_only=True):
    """On a different number of ranks: the scheduler began from scratch."""

    template = (
        "rank {rank} in incarnation {incarnation} went on from step {step} "
        "with the learning rates that the job began with"
    )
    rank: int
    incarnation: int
    step: int


class SaveUnknown(Problem, frozen=True, kw_only=True):
    """Numbers do not repeat, so that nothing else shows whether the state was restored."""

    template = (
        "incarnation {incarnation} went on from step {step} with a state that no save of this run was seen to hold; "
        "its numbers do not repeat, so that nothing else shows whether that is right"
    )
    remedy = (
        "write checkpoints with `torch.save` and read them with `torch.load`: what these write and read is compared"
    )
    incarnation: int
    step: int


class StartDoubtful(Problem, frozen=True, kw_only=True):
    """Something is different that a right job may change, too."""

    template = (
        "rank {rank} in incarnation {incarnation} went on from step {step} with something else than there was; its numbers "
        "do not repeat, so that nothing else shows whether that matters"
    )
    rank: int
    incarnation: int
    step: int


class RateDiffers(Problem, frozen=True, kw_only=True):
    """A step was done with a learning rate that it has in no other run, nor had in this one."""

    template = "rank {rank} in incarnation {incarnation} did step {step} with learning rate {found}, not {expected}"
    rank: int
    incarnation: int
    step: int
    found: float
    expected: float


class SettingDiffers(Problem, frozen=True, kw_only=True):
    """A step was made with a setting of its optimizer, or with frozen parameters, that it has in no other run."""

    template = "rank {rank} in incarnation {incarnation} did step {step} with {what}"
    kind_by = ("setting",)
    rank: int
    incarnation: int
    step: int
    setting: str
    """Name in the groups of the optimizer; `frozen`: parameters that get no gradient."""
    found: tuple[int | float | str, ...]
    """In each group; names of parameters."""
    expected: tuple[int | float | str, ...]

    def __str__(self) -> str:
        if self.setting == "frozen":
            own, right = set(map(str, self.found)), set(map(str, self.expected))
            parts = ((sorted(own - right), "frozen"), (sorted(right - own), "not frozen any more"))
            told = [f"{listed_in_part(names[:MAX_NAMES], len(names))} {how}" for names, how in parts if names]
            return self.filled(what=" and ".join(told))
        if len(self.found) != len(self.expected):
            return self.filled(what=f"{counted(len(self.found), 'group')} of parameters, not {len(self.expected)}")
        pairs = zip(self.found, self.expected, strict=True)
        differing = ((number, *pair) for number, pair in enumerate(pairs) if pair[0] != pair[1])
        number, own_value, right_value = next(differing, (0, "", ""))
        group = f" of group {number}" if len(self.found) > 1 else ""
        return self.filled(what=f"{_setting(self.setting)}{group} {own_value}, not {right_value}")


def _setting(name: str) -> str:
    """As torch's documentation calls it; of a pair of numbers its place counts from 0."""
    return "learning rate" if name == "lr" else re.sub(r"/(\d+)$", r"[\1]", name)
