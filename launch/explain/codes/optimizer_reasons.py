"""Why an optimizer's steps are not as they should be: state, settings, rate; each class is a code of `results.json`."""

from __future__ import annotations

from resumable.launch.explain.codes.state_reasons import ADVICE
from resumable.launch.explain.codes.statement import Reason


class OptimizerHoldsOthers(Reason, frozen=True, kw_only=True):
    """The model was given new tensors after its optimizer had been made."""

    template = (
        "the optimizer holds tensors that are in no model, and the model's own are in no optimizer: others took their place "
        "once it had been made (`assign=True`, a module that was loaded as a whole, or moved)"
    )
    remedy = "make the optimizer, and whatever wraps the model, when the model is loaded"


class ParametersAdded(Reason, frozen=True, kw_only=True):
    """More are trained than before."""

    template = (
        "at the save no optimizer held parameters of these names: weights that were shared (tied) are two now, or a part of "
        "the model is new, or no more frozen"
    )
    remedy = "tie shared weights again when the model is loaded, before the optimizer is made"


class SettingNotRestored(Reason, frozen=True, kw_only=True):
    """A setting of an optimizer, such as its momentum, or which parameters get no gradient."""

    template = (
        "{is_frozen:which parameters are frozen was|the optimizer's settings were} not restored, or what decides it, such "
        "as a count of steps or epochs, stands elsewhere"
    )
    kind_by = ("is_frozen",)
    is_frozen: bool

    @property
    def advice(self) -> str:
        """Of either kind."""
        if self.is_frozen:
            return "freeze what is frozen by then, by the step or epoch that training has come to, before it goes on"
        return "let the optimizer's `state_dict()` bring it back, and whatever changes it go on from where it was"


class MayFollowFromLosses(Reason, frozen=True, kw_only=True):
    """It is in doubt: what two runs had for long they may have had for as long by accident."""

    template = (
        "it was right at first, there is no scheduler, and numbers do not repeat, so that nothing shows whether the script "
        "sets it by its losses (when they fall no more), or by a count of steps or epochs that stands elsewhere"
    )
    remedy = "save what it follows from, and load it too; of a scheduler's rates it can be told"


class SchedulerOffCount(Reason, frozen=True, kw_only=True):
    """The scheduler stands elsewhere."""

    template = (
        "the learning-rate scheduler has counted {num_found} where it should have counted {num_expected}"
        "{is_as_saved:?, though it is as it was saved: the save came before its step}"
    )
    kind_by = ("is_as_saved",)
    num_found: int | None
    num_expected: int | None
    is_as_saved: bool = False
    """It was restored."""

    @property
    def advice(self) -> str:
        """What to do about this one."""
        if self.is_as_saved:
            return "save when the scheduler has been stepped"
        return f"{ADVICE['rate']}, and step it no more often than without a restart"


class RateSetBeside(Reason, frozen=True, kw_only=True):
    """No scheduler gave this learning rate."""

    template = (
        "{has_scheduler:the scheduler is as it was saved|there is no scheduler}, so that the rate was set anew once the "
        "optimizer was loaded (an argument, a factor), or what it is computed from, such as a count of steps, stands "
        "elsewhere"
    )
    kind_by = ("has_scheduler",)
    has_scheduler: bool
    """There is one, as it was saved."""

    @property
    def advice(self) -> str:
        """A step of the scheduler may lie between the save and the next step."""
        if self.has_scheduler:
            return "let the loaded optimizer keep its rate, and save when the scheduler has been stepped"
        return "let the loaded optimizer keep its rate, or save what it is computed from, and load that too"


class LearningRateDiffers(Reason, frozen=True, kw_only=True):
    """The rate is another, whatever the scheduler counted."""

    template = "batches are right but the learning rate is {found} where it should be {expected}"
    remedy = "save what the learning rate follows from, its scheduler or the number of the step, and load it too"
    found: float | None
    expected: float | None


class UpdateDiffers(Reason, frozen=True, kw_only=True):
    """The first update of a process, from right gradients."""

    template = (
        "samples, parameters, first loss and learning rate are right, and yet the update of step {step} is not: {why}"
    )
    kind_by = ("is_optimizer_right", "has_optimizer_state")
    step: int
    is_optimizer_right: bool = False
    """It began with what this run had of it at the save."""
    has_optimizer_state: bool = True
    """Which was something."""

    @property
    def advice(self) -> str:
        """The optimizer's state, or what else an update follows from."""
        return "save what that goes by, and load it too" if self.is_optimizer_right else ADVICE["optimizer"]

    def __str__(self) -> str:
        if not self.is_optimizer_right:
            return self.filled(why=_OPTIMIZER_DIFFERS)
        return self.filled(why=_GRADIENTS_DIFFER if self.has_optimizer_state else _STATE_ELSEWHERE)


_OPTIMIZER_DIFFERS = "the optimizer's state was not restored, or lies with parameters that it was not saved for"
_STATE_ELSEWHERE = (
    "no optimizer was seen to hold any state, so that what the step goes by lies elsewhere (a momentum of the script's "
    "own), or gradients are treated differently before it (clipped by earlier norms, noise)"
)
_GRADIENTS_DIFFER = (
    "the optimizer's state is as it was saved, so that gradients are treated differently before the step (clipped by "
    "earlier norms, noise, a second loss, what compression left over, fewer ranks in the sum)"
)


class UpdateLeftOut(Reason, frozen=True, kw_only=True):
    """The first step of a process changed nothing."""

    template = (
        "samples, parameters and the first loss are right, and yet step {step} changed nothing: a gradient scaler leaves "
        "steps out when its scale is too great"
    )
    remedy = ADVICE["scaler"]
    step: int


class EveryUpdateLeftOut(Reason, frozen=True, kw_only=True):
    """A process trained on batches and made no step of any."""

    template = "it received batches, and a gradient scaler left out {num:step}, which were all: its scale was too great"
    remedy = ADVICE["scaler"]
    num: int
