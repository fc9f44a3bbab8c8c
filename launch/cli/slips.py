"""What people mistype on the command line, and what they meant: each refusal says what to write instead."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from resumable.launch.cli.argparse_private import option_named, options_of
from resumable.launch.cli.help_texts import TOOLS
from resumable.launch.errors import UsageError
from resumable.launch.evidence.run_dir import RUNS, newest_run
from resumable.launch.plan.command_plans import own_command
from resumable.launch.plan.fault_grammar import is_read_by, parse_fault
from resumable.launch.plan.sweep_words import parse_at, parse_kinds
from resumable.launch.system.wording import listed, shown

Parsers = Callable[[], Mapping[str, argparse.ArgumentParser]]
"""Those of all commands, by name; made where somebody mistyped something."""
_WITHOUT_COMMAND = ("help", "version")
"""What `resumable` itself answers."""
_MISSING = "the following arguments are required: "
"""How argparse begins where an argument is missing."""


def _count(text: str) -> None:
    """The number of ranks, nodes or restarts."""
    if re.fullmatch(r"\d+(:\d+)?|auto|cpu|gpu", text) is None:
        raise UsageError(text)


def _page(text: str) -> None:
    """The file of a report."""
    if not text.endswith(".html"):
        raise UsageError(text)


_OWN_WORDS: dict[str, Callable[[str], object]] = {
    "--fault": parse_fault,
    "--at": parse_at,
    "--kinds": parse_kinds,
    "--html": _page,
}
"""Options that a script hardly has too, if their value can be read as one."""
_LAUNCH_WORDS: dict[str, Callable[[str], object]] = dict.fromkeys(
    ("--nproc-per-node", "--nproc_per_node", "--nnodes", "--max-restarts", "--max_restarts"), _count
)
"""The same, where it is a script that stands before them, and not a launcher."""


def refusal(message: str, program: str) -> UsageError:
    """What argparse found wrong, and what to type next.

    Args:
        message: Its own.
        program: The command, as it is typed: `resumable check`.
    """
    missing = message.removeprefix(_MISSING) if message.startswith(_MISSING) else None
    newest = newest_run(RUNS) if missing == "RUN" else None
    if newest is not None:
        return UsageError(f"which run? the newest here is\n  {program} {shown(newest)}")
    tool = TOOLS.get(program.rpartition(" ")[2])
    if missing is not None and tool is not None:
        message = f"{missing} is missing; for example\n{tool.examples}"
    return UsageError(f"{message}\ntry: {program} --help")


def refuse_unknown_command(argv: Sequence[str], commands: Sequence[str]) -> None:
    """A command that there is not: the nearest that there is, or the one that a script's name or an option wants."""
    word = argv[0]
    if word in (*commands, "-h", "--help", "--version"):
        return
    bare = word.lstrip("-").lower()
    own = [name for name in _WITHOUT_COMMAND if bare and name.startswith(bare)]
    if own := own or get_close_matches(bare, _WITHOUT_COMMAND, n=1, cutoff=0.75):
        of = [one for one in argv[1:] if one in commands and own == ["help"]]
        raise UsageError(f"no command {word!r}\ndid you mean: {' '.join(['resumable', *of[:1]])} --{own[0]}")
    if word.startswith("-"):
        command = next((one for one in argv if one in commands), "verify")
        rest = [one for one in argv if one != command]
        raise UsageError(
            f"{word} stands where a command is expected; write\n  resumable {shlex.join([command, *rest])}"
        )
    if Path(word).exists() or word.endswith(".py"):
        raise UsageError(f"{word} is no command; to prove that it resumes: resumable verify {word}")
    nearest = get_close_matches(word, commands, n=1)
    hint = f"did you mean: resumable {nearest[0]}" if nearest else f"commands: {', '.join(commands)}"
    raise UsageError(f"no command {word!r}\n{hint}")


def refuse_superfluous(
    word: str, parser: argparse.ArgumentParser, parsers: Parsers, head: Sequence[str] = (), tail: Sequence[str] = ()
) -> None:
    """A word that a command has no use for: an option that there is not, or not here, or one argument too many.

    Args:
        word: It.
        parser: Of the command.
        parsers: Of all.
        head: Of a command that launches a script, the words up to what was taken for it.
        tail: The words from there on.
    """
    if not word.startswith("-"):
        raise UsageError(f"{word!r} is one argument too many\ntry: {parser.prog} --help")
    name = word.partition("=")[0]
    spellings = {
        spelling.lstrip("-"): spelling
        for option in options_of(parser)
        for spelling in option.option_strings
        if ("_" in name or "_" not in spelling) and spelling.startswith("--") == name.startswith("--")
    }
    begun = [spelling for spelling in spellings.values() if spelling.startswith(name)]
    # Without the hyphens, which would make any two options alike.
    alike = [spellings[bare] for bare in get_close_matches(name.lstrip("-"), spellings, n=1)]
    nearest = begun if len(begun) in (1, 2) else alike
    elsewhere = [f"resumable {command}" for command, one in parsers().items() if option_named(one, name) is not None]
    hint = f"try: {parser.prog} --help"
    if elsewhere and not begun:
        hint = f"it is one of {listed(elsewhere)}\n{hint}"
    elif nearest:
        hint = f"did you mean: {' or '.join(nearest)}"
    elif scripts := [number for number, one in enumerate(tail) if one.endswith(".py")]:
        script, ours = tail[scripts[0]], [one for one in head if one != word]
        right = shlex.join([*ours, script, word, *tail[: scripts[0]], *tail[scripts[0] + 1 :]])
        hint = f"if it is one of {script}, write\n  {parser.prog} {right}"
    raise UsageError(f"no option {name}\n{hint}")


def refuse_mistyped(words: Sequence[str], parser: argparse.ArgumentParser, parsers: Parsers) -> None:
    """An option that there is not, before argparse finds that something else is missing."""
    spellings = [spelling for option in options_of(parser) for spelling in option.option_strings]
    for word in words:
        name = word.partition("=")[0]
        if name.startswith("--") and name != "--" and not any(spelling.startswith(name) for spelling in spellings):
            refuse_superfluous(word, parser, parsers)


def refuse_swallowed_script(command: str, head: Sequence[str]) -> None:
    """A script where an option wants its value: a report would be written over it, and the built-in job be run."""
    *before, option, script = ["", "", *head]
    if script.endswith(".py") and option.startswith("-"):
        words = shlex.join([command, *before[2:], option])
        raise UsageError(f"{script} is the value of {option} here; write\n  resumable {words} VALUE {script}")


def refuse_behind_script(command: str, head: Sequence[str], tail: Sequence[str]) -> None:
    """An option that stands behind the script would go to the script, and nobody would notice.

    Args:
        command: `verify`, for example.
        head: Its options.
        tail: The script, and all that stands behind it.
    """
    is_script = "--no-python" not in head and "--no_python" not in head and own_command(tuple(tail)) is None
    readers = {**_OWN_WORDS, **(_LAUNCH_WORDS if is_script else {})}
    for number, word in enumerate(tail[1:], start=1):
        name, is_joined, value = word.partition("=")
        end = number + (1 if is_joined else 2)
        words = tail[number:end]
        if name in readers and is_read_by(readers[name], value if is_joined else words[-1]):
            right = [*head, *words, *tail[:number], *tail[end:]]
            raise UsageError(
                f"{' '.join(words)} stands behind {tail[0]}, which would get it; write\n"
                f"  resumable {command} {shlex.join(right)}\n"
                f"or put -- before {tail[0]} if it is an option of its own"
            )
