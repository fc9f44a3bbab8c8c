"""After how many steps the job had which parameters, as all its ranks together count them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from resumable.launch.reading.lockstep import Lockstep
from resumable.launch.reading.steps import Steps


class ParameterPlaces:
    """Knows the parameters that a process may go on from.

    Args:
        reference: What each rank trains on without a stop; empty where nobody knows.
    """

    def __init__(self, reference: Mapping[int, Steps]) -> None:
        self.lockstep = Lockstep(reference)
        self._has_reference = bool(reference)
        self._known = [(rank, 0, steps) for rank, steps in reference.items()]
        """Steps of the job, each with the rank and the number of the first."""
        self._found: dict[str, frozenset[int]] = {}

    def note_done(self, done: Mapping[int, Steps]) -> None:
        """This is what the ranks have done by now."""
        self._found = {}
        if not self._has_reference:
            self.lockstep = Lockstep(done)

    def add(self, rank: int, first_step: int, steps: Steps) -> None:
        """A process of this rank did these steps."""
        self._known.append((rank, first_step, steps))

    def of(self, parameters: str | None) -> frozenset[int]:
        """After how many steps the job had parameters of this digest; none if nobody knows them."""
        if parameters is None:
            return frozenset()
        if parameters not in self._found:
            found = [(rank, first + n + 1) for rank, first, steps in self._known for n in steps.places_of(parameters)]
            begun = [(rank, first) for rank, first, steps in self._known if steps and steps[0].before == parameters]
            self._found[parameters] = frozenset(self.lockstep.common(*place).start for place in (*found, *begun))
        return self._found[parameters]

    def common_step(self, rank: int, num_steps: int, parameters: Callable[[], str | None]) -> int:
        """The common count when a rank had done so many steps, and had these parameters while others stepped on."""
        places = self.lockstep.common(rank, num_steps)
        if len(places) == 1:
            return places.start
        return max(self.of(parameters()).intersection(places), default=places.start)
