"""Launcher and rig that prove a resume."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from resumable.launch.api.fault import Fault
    from resumable.launch.api.launcher import Launcher

__all__ = ["Fault", "Launcher"]

_MODULES = {"Fault": "resumable.launch.api.fault", "Launcher": "resumable.launch.api.launcher"}


def __getattr__(name: str) -> object:
    """Import what is asked for: a rank imports this package too, and needs neither."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    return getattr(import_module(_MODULES[name]), name)
