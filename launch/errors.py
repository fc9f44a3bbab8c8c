"""What can go wrong, as one tree.

LaunchError
├── UsageError (ValueError)         the caller asked for something impossible: exit code 2
│   ├── FaultSyntaxError            a fault that does not parse
│   └── ScriptNotFoundError (FileNotFoundError)
├── EvidenceError (ValueError)      a run directory that is none, or a different version's: exit code 2
│   └── DamagedPlanError            its plan cannot be believed: exit code 3
└── NodeError (RuntimeError)        a node that could not start or broke its protocol: exit code 3
"""

from __future__ import annotations


class LaunchError(Exception):
    """Base of every error that `launch` raises on purpose."""


class UsageError(LaunchError, ValueError):
    """The request cannot be carried out as it stands; the message says what would do."""


class FaultSyntaxError(UsageError):
    """A fault that does not follow the grammar; the message holds the nearest right form, and where the grammar stands."""

    def __init__(self, message: str, *, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason or message
        """What is wrong, without the fault and without advice."""


class ScriptNotFoundError(UsageError, FileNotFoundError):
    """The training script does not exist or is no file."""


class EvidenceError(LaunchError, ValueError):
    """A run directory that is none, or that a different version of the format wrote."""


class DamagedPlanError(EvidenceError):
    """A run directory whose plan cannot be read, or asks for what no command would have planned."""


class NodeError(LaunchError, RuntimeError):
    """A node could not be started, or ended without an answer."""
