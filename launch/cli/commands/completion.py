"""`resumable completion`: what a shell needs to complete commands and options."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator, Mapping

from rich.console import Console

from resumable.launch.cli.argparse_private import options_of
from resumable.launch.cli.parser import command_parsers
from resumable.launch.explain.outcome import ExitCode

_BASH = """\
_resumable() {{
    local current="${{COMP_WORDS[COMP_CWORD]}}" words=""
    if [ "$COMP_CWORD" -eq 1 ]; then
        words={commands}
    elif [[ "$current" == -* ]]; then
        case "${{COMP_WORDS[1]}}" in
{cases}
        esac
    else
        COMPREPLY=($(compgen -f -- "$current"))
        return
    fi
    COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -o filenames -F _resumable resumable
"""
_ZSH = "autoload -U +X bashcompinit && bashcompinit\n"
_MAX_HELP = 80

Parsers = Mapping[str, argparse.ArgumentParser]


def completion(arguments: argparse.Namespace, _console: Console) -> int:
    """Print the script that a shell reads when it starts."""
    parsers = command_parsers()
    print({"bash": _bash, "zsh": _zsh, "fish": _fish}[arguments.shell](parsers), end="")
    return ExitCode.VALID


def _bash(parsers: Parsers) -> str:
    cases = [
        f"            {name}) words={shlex.quote(' '.join(_spellings(parser)))} ;;" for name, parser in parsers.items()
    ]
    return _BASH.format(commands=shlex.quote(" ".join(parsers)), cases="\n".join(cases))


def _zsh(parsers: Parsers) -> str:
    return _ZSH + _bash(parsers)


def _fish(parsers: Parsers) -> str:
    lines = []
    for name, parser in parsers.items():
        lines.append(f"complete -c resumable -n __fish_use_subcommand -f -a {name}")
        for option in options_of(parser):
            help_text = shlex.quote(" ".join((option.help or "").split())[:_MAX_HELP])
            for spelling in _long(option):
                value = "" if option.nargs == 0 else " -r"
                word = spelling.removeprefix("--")
                lines.append(
                    f"complete -c resumable -n '__fish_seen_subcommand_from {name}' -l {word}{value} -d {help_text}"
                )
    return "\n".join(lines) + "\n"


def _spellings(parser: argparse.ArgumentParser) -> Iterator[str]:
    for option in options_of(parser):
        yield from _long(option)


def _long(option: argparse.Action) -> list[str]:
    """With hyphens: those with underscores are the same options again."""
    return [spelling for spelling in option.option_strings if spelling.startswith("--") and "_" not in spelling]
