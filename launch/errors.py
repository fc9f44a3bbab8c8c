"""What can go wrong, as one tree.

LaunchError
├── UsageError (ValueError)         the caller asked for something impossible: exit code 2
│   ├── FaultSyntaxError            a fault that does not parse
│   └── ScriptNotFoundError (FileNotFoundError)
├── EvidenceError (ValueError)      a run directory that cannot be read as one: exit code 2
└── NodeError (RuntimeError)        a node that could not start or broke its protocol: exit code 3
"""

from __future__ import annotations


class LaunchError(Exception):
    """Base of every error that `launch` raises on purpose."""


class UsageError(LaunchError, ValueError):
    """The request cannot be carried out as it stands; the message says what would do."""


class FaultSyntaxError(UsageError):
    """A fault that does not follow the grammar; the message holds the grammar and the nearest right form."""


class ScriptNotFoundError(UsageError, FileNotFoundError):
    """The training script does not exist or is no file."""


class EvidenceError(LaunchError, ValueError):
    """A run directory that is none, or that another version of the format wrote."""


class NodeError(LaunchError, RuntimeError):
    """A node could not be started, or ended without an answer."""
