"""A pass among others over the same sampler, of which one trains."""

from collections.abc import Sequence

from resumable.samplers.epoch_pass import EpochPass


class Candidate:
    """A pass, and what went on around it.

    Args:
        epoch_pass: A pass that draws its first sample now.
        earlier: Those that have drawn before, since the position was set.
    """

    def __init__(self, epoch_pass: EpochPass, earlier: Sequence["Candidate"]) -> None:
        self.epoch_pass = epoch_pass
        self.is_before_set_epoch = False
        """Whether it had drawn when `set_epoch` named its epoch once more."""
        self._num_done_at_set_epoch = 0
        self._began_during = tuple(candidate for candidate in earlier if candidate.epoch_pass.is_under_way)
        self._num_done_when_the_next_began: int | None = None
        self._went_on = False

    @property
    def went_on(self) -> bool:
        """Whether more was done after a later pass had begun."""
        before = self._num_done_when_the_next_began
        return self._went_on or (before is not None and self.epoch_pass.num_done > before)

    @property
    def is_look(self) -> bool:
        """Whether it began while another pass was under way that went on afterwards."""
        return any(earlier.went_on for earlier in self._began_during)

    @property
    def began_during_another(self) -> bool:
        """Whether another pass was under way when it began."""
        return bool(self._began_during)

    @property
    def has_moved_since_set_epoch(self) -> bool:
        """Whether more was done after `set_epoch` named its epoch once more, if it did."""
        return not self.is_before_set_epoch or self.epoch_pass.num_done > self._num_done_at_set_epoch

    def note_the_next(self) -> None:
        """Note that a later pass draws its first sample now."""
        self._went_on = self.went_on
        self._num_done_when_the_next_began = self.epoch_pass.num_done

    def note_set_epoch(self) -> None:
        """Note that `set_epoch` names the pass's epoch once more."""
        self.is_before_set_epoch, self._num_done_at_set_epoch = True, self.epoch_pass.num_done
