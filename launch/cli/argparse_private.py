"""Every private name of argparse that is used; no other module uses one.

argparse has no public way to ask a parser for its options, nor a public name for what options can be added to.
`PRIVATE_NAMES` lists them, and a test says which the installed Python lacks.
"""

from __future__ import annotations

import argparse

PRIVATE_NAMES = {
    "argparse": ("_ActionsContainer",),
    "argparse:ArgumentParser": ("_actions", "_add_action", "_option_string_actions"),
}
"""Names by their owner, as `pkgutil.resolve_name` takes it; of a class also attributes that its methods set."""

FlagGroup = argparse._ActionsContainer
"""A parser or a group of one: what options can be added to."""


def options_of(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """All options and arguments of a parser."""
    return parser._actions


def option_named(parser: argparse.ArgumentParser, word: str) -> argparse.Action | None:
    """The option that is spelled so; None if there is none."""
    return parser._option_string_actions.get(word)


def add_option(group: FlagGroup, option: argparse.Action) -> None:
    """Give a parser an option of another one."""
    group._add_action(option)
