"""`resumable completion`: what a shell needs to complete commands and options."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterable, Iterator, Mapping

from rich.console import Console

from resumable.launch.cli.argparse_private import options_of
from resumable.launch.cli.parser import BEFORE_SCRIPT, command_parsers
from resumable.launch.explain.outcome import ExitCode

_BASH = """\
_resumable_words() {{
    local current="${{COMP_WORDS[COMP_CWORD]}}" command="${{COMP_WORDS[1]}}" words="" flags="" value="" count=0 word before
    COMPREPLY=()
    case "$command" in
{flags}
    esac
    before="${{COMP_LINE:0:$COMP_POINT}}"
    for word in ${{flags:+${{before%"$current"}}}}; do
        count=$((count + 1))
        case "$value$word" in
            ,*) value="" ;;
            --) return ;;
            -*=*) ;;
            -*) [[ " $flags " == *" $word "* ]] || value=, ;;
            *) [ "$count" -le 2 ] || return ;;
        esac
    done
    if [ "$COMP_CWORD" -eq 1 ]; then
        words={commands}
    elif [[ "$current" == -* ]]; then
        case "$command" in
{options}
        esac
    else
        case "$command ${{COMP_WORDS[COMP_CWORD-1]}}" in
{values}
        esac
    fi
    COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -o default -F _resumable_words resumable
"""
"""Files are what the shell itself completes where this offers nothing, as behind a script or a command of the user's."""
_ZSH = """\
#compdef resumable
autoload -U +X bashcompinit && bashcompinit
{bash}if [ "$funcstack[1]" = _resumable ]; then
    _bash_complete -o default -F _resumable_words
fi
"""
"""Sourced, or a file `_resumable` that zsh loads when it is first needed, and which has to complete at once then."""
_FISH = """\
function __resumable_is_before_script
    set -l value ''
    for word in (commandline -opc)[3..-1]
        switch $value$word
            case ',*'
                set value ''
            case --
                return 1
            case '-*=*' $argv
            case '-*'
                set value ,
            case '*'
                return 1
        end
    end
end
"""
"""Whether what is completed is ours; its arguments are the options that take no value."""
_MAX_HELP = 80

Parsers = Mapping[str, argparse.ArgumentParser]


def completion(arguments: argparse.Namespace, _console: Console) -> int:
    """Print the script of a shell, with those of torchrun's options that the short help shows: torch is not asked."""
    parsers = command_parsers()
    print({"bash": _bash, "zsh": _zsh, "fish": _fish}[arguments.shell](parsers), end="")
    return ExitCode.VALID


def _bash(parsers: Parsers) -> str:
    options = {name: list(_spellings(parser)) for name, parser in parsers.items()}
    flags = {name: _flags(parser) for name, parser in parsers.items() if name in BEFORE_SCRIPT}
    values = {
        f"{shlex.quote(f'{name} ')}{spelling}": option.choices
        for name, parser in parsers.items()
        for option in options_of(parser)
        for spelling in option.option_strings or ["*"]
        if option.choices
    }
    return _BASH.format(
        commands=_quoted(parsers), flags=_cases(flags, "flags"), options=_cases(options), values=_cases(values)
    )


def _zsh(parsers: Parsers) -> str:
    return _ZSH.format(bash=_bash(parsers))


def _fish(parsers: Parsers) -> str:
    lines = [_FISH.rstrip(), *(f"complete -c resumable -n __fish_use_subcommand -f -a {name}" for name in parsers)]
    for name, parser in parsers.items():
        is_ours = f"; and __resumable_is_before_script {' '.join(_flags(parser))}" if name in BEFORE_SCRIPT else ""
        begin = f"complete -c resumable -n '__fish_seen_subcommand_from {name}{is_ours}'"
        for option in options_of(parser):
            value = f" -x -a {_quoted(option.choices)}" if option.choices else "" if option.nargs == 0 else " -r"
            help_text = shlex.quote(" ".join((option.help or "").split())[:_MAX_HELP])
            if not option.option_strings and option.choices:
                lines.append(f"{begin} -f -a {_quoted(option.choices)}")
            for spelling in _long(option):
                lines.append(f"{begin} -l {spelling.removeprefix('--')}{value} -d {help_text}")
    return "\n".join(lines) + "\n"


def _cases(words: Mapping[str, Iterable[str]], variable: str = "words") -> str:
    return "\n".join(f"            {pattern}) {variable}={_quoted(offered)} ;;" for pattern, offered in words.items())


def _quoted(words: Iterable[str]) -> str:
    return shlex.quote(" ".join(words))


def _flags(parser: argparse.ArgumentParser) -> list[str]:
    """The options that take no value."""
    return [spelling for option in options_of(parser) if option.nargs == 0 for spelling in option.option_strings]


def _spellings(parser: argparse.ArgumentParser) -> Iterator[str]:
    for option in options_of(parser):
        yield from _long(option)


def _long(option: argparse.Action) -> list[str]:
    """With hyphens: those with underscores are the same options again."""
    return [spelling for spelling in option.option_strings if spelling.startswith("--") and "_" not in spelling]
