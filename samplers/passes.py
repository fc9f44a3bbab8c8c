"""The passes over a sampler since its position was set, and which of them is meant."""

from collections.abc import Sequence

from resumable.samplers.candidate import Candidate
from resumable.samplers.epoch_pass import EpochPass
from resumable.samplers.errors import PositionUnknownError
from resumable.samplers.training_pass import passes_that_matter, training_pass


class Passes:
    """Passes that have drawn, in the order in which they began to."""

    def __init__(self) -> None:
        self.has_loader = False
        """Whether a `ResumableDataLoader` is around the sampler: only what that delivers is trained on."""
        self._all: Sequence[Candidate] = ()

    def training(self) -> EpochPass | None:
        """Return the one that trains; None if nothing was drawn for that.

        Raises:
            PositionUnknownError: nobody can know.
        """
        return training_pass(self._candidates())

    def likely(self) -> EpochPass | None:
        """Return the one that trains or, where nobody can know, the last."""
        try:
            return self.training()
        except PositionUnknownError:
            return self._candidates()[-1].epoch_pass

    def to_commit(self) -> EpochPass | None:
        """Return the one that a commit is of; None if nothing was drawn."""
        under_way = [candidate for candidate in self._candidates() if candidate.epoch_pass.is_under_way]
        committed = [candidate for candidate in under_way if candidate.epoch_pass.is_committed]
        if committed:
            return committed[-1].epoch_pass
        if under_way:
            return (under_way[0] if under_way[0].went_on else under_way[-1]).epoch_pass
        # Everything was drawn, as by a loop whose commits come late.
        drawn = [candidate for candidate in self._all if not candidate.is_look]
        return drawn[-1].epoch_pass if drawn else None

    def add(self, epoch_pass: EpochPass) -> None:
        """Take note of one that draws its first sample now."""
        added = Candidate(epoch_pass, self._all)
        for earlier in self._all:
            earlier.note_the_next()
        self._all = [*passes_that_matter(self._all), added]

    def note_set_epoch(self) -> None:
        """Note that `set_epoch` names their epoch once more."""
        for candidate in self._all:
            candidate.note_set_epoch()

    def clear(self) -> None:
        """Forget them: the position was set, and they say nothing about it any more."""
        self._all = ()

    def refuse_to_leave(self, *, only_drawn: bool = False) -> None:
        """Refuse to leave an epoch of which samples are in flight: a state of the next one could not tell of them.

        Args:
            only_drawn: Whether only those passes are asked of which everything was drawn.

        Raises:
            ValueError: there are some.
        """
        for epoch_pass in (candidate.epoch_pass for candidate in self._candidates()):
            if epoch_pass.num_in_flight and (epoch_pass.is_drawn or not only_drawn):
                raise ValueError(
                    f"{epoch_pass.num_in_flight} samples of epoch {epoch_pass.epoch} were drawn and not committed: commit "
                    "them, and what was given up, before the next epoch begins; a run without epochs is order=Endless(...)"
                )

    def _candidates(self) -> Sequence[Candidate]:
        """Those that may be the one which trains."""
        if not self.has_loader:
            return self._all
        passes = [(candidate, candidate.epoch_pass) for candidate in self._all]
        return [candidate for candidate, one in passes if one.is_delivered or one.is_committed]
