"""When a sweep begins nothing any more."""

from __future__ import annotations

import time


class Limit:
    """A time, and the first failure where one is enough.

    Args:
        until: Time on the monotonic clock.
        is_until_failure: What has failed is looked at once more, and nothing else is begun.
    """

    def __init__(self, until: float, *, is_until_failure: bool = False) -> None:
        self._until = until
        self._is_until_failure = is_until_failure
        self._has_failed = False

    def note_failure(self) -> None:
        """Say that a point is not VALID."""
        self._has_failed = True

    def is_over(self) -> bool:
        """Whether the time is."""
        return time.monotonic() >= self._until

    def is_enough(self) -> bool:
        """Whether no further point is to be begun."""
        return self.is_over() or (self._is_until_failure and self._has_failed)
