"""What is known of the state of this process before its first forward and backward pass."""

from __future__ import annotations

from typing import Any, Self

from resumable.launch.evidence.fingerprints import Fingerprint

ByName = dict[str, Fingerprint]
"""Fingerprints of one component of the training state."""


class KnownStart:
    """What is known of the state before the first forward and backward pass."""

    def __init__(self) -> None:
        self.is_over = self.is_of_others = False
        self.raw: dict[str, dict[str, Any]] | None = None
        """When the last batch came."""
        self.buffers: ByName | None = None
        """When the first batch after the last load came: later forward passes may have changed them."""
        self.quick_buffers: Fingerprint | None = None
        self.untrained: ByName | None = None
        """Likewise."""
        self.unsaved: ByName = {}
        """Likewise."""
        self.frozen: ByName = {}
        """Likewise, of the parameters that get no gradient though an optimizer holds them."""
        self.gradients: ByName = {}
        """When the last batch came: those of a window of accumulation that was open at the save."""
        self.seen: list[tuple[int, int]] = []
        """Which gradients these are, and how often each was changed."""

    def current(self, *, are_others: bool) -> Self:
        """The same, without what was looked at when there was no optimizer of torch's yet, if there is one now.

        Args:
            are_others: There is none.
        """
        if self.is_of_others and not are_others:
            self.buffers = self.quick_buffers = self.untrained = None
            self.unsaved, self.frozen = {}, {}
        self.is_of_others = are_others
        return self
