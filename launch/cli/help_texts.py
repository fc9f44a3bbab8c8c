"""What help says besides the list of options: where to begin, examples, and which options the short help shows."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence
from typing import NoReturn

import msgspec

from resumable.launch.cli.argparse_private import options_of
from resumable.launch.plan.fault_grammar import GRAMMAR
from resumable.launch.plan.fault_kinds import FaultKind

BEGINNING = """\
Kills a training job, lets it restart, and proves that it goes on with exactly the batch that would have come next.

  resumable verify                                     try it: the built-in job, killed twice
  resumable verify --nproc-per-node 2 train.py ARGS    your script, killed after step 7
  resumable sweep --nproc-per-node 2 train.py ARGS     killed after every step, on every rank
  resumable example ddp > train.py                     a script that resumes exactly, to start from
  resumable doctor                                     can jobs restart on this machine?

all commands: resumable --help
"""

EXAMPLES = ("ddp", "plain", "torchdata", "lightning", "accelerate", "transformers")
"""Scripts in `launch/jobs/examples`, by their names."""

EXIT_CODES = "exit codes: 0 VALID, 1 INVALID, 2 usage, 3 UNKNOWN, 70 internal error"


class CommandHelp(msgspec.Struct, frozen=True, kw_only=True):
    """What the help of one command says."""

    summary: str
    synopsis: str
    """Our part of the usage line."""
    about: str
    examples: str
    common: tuple[str, ...]
    """Options of the short help, by the names of their values."""


_COMMON = ("run_dir", "quiet", "nnodes", "nproc_per_node", "module")
_REPORTS = ("html", "junit", "json", "markdown")

LAUNCHES = {
    "run": CommandHelp(
        summary="a torchrun whose restarts work, and which keeps evidence",
        synopsis="[--fault F]...",
        about="Runs a job to its end, restarts included, as torchrun does, and says which rank failed first.",
        examples="""\
  resumable run --nproc-per-node 2 --max-restarts 3 train.py --epochs 2
  resumable run --record train.py                               and what every rank trained on
  resumable run --fault sigkill@step=7:rank=1 train.py          and one rank is killed""",
        common=("fault", "record", "max_restarts", *_COMMON),
    ),
    "verify": CommandHelp(
        summary="run a job undisturbed, then with faults, and compare",
        synopsis="[--fault F]...",
        about="Runs SCRIPT undisturbed, twice by default, and once with faults, and compares what every rank trained on. "
        "Without --fault one rank, drawn from --seed, is killed after step 7. Without SCRIPT it is the built-in job, a "
        "small network that learns handwritten digits.",
        examples="""\
  resumable verify                                              the built-in job, killed twice
  resumable verify --nproc-per-node 2 train.py --epochs 2
  resumable verify --fault 'torn@save#1:rank=0' train.py        a checkpoint loses its end
  resumable verify --fault sigkill@epoch=1,batch=0:rank=any --html report.html train.py""",
        common=("fault", "content", "restart", "restart_nproc_per_node", *_COMMON, *_REPORTS),
    ),
    "sweep": CommandHelp(
        summary="the same with a fault at every rank and step, one run each",
        synopsis="[--at all|every:N|LIST] [--ranks each|any|all|LIST] [--kinds LIST]",
        about="Runs SCRIPT once for every moment of --at, rank of --ranks and kind of --kinds, and judges each run. "
        "By default every rank is killed after every step. Without SCRIPT it is the built-in job.",
        examples="""\
  resumable sweep --nproc-per-node 2 train.py --epochs 2
  resumable sweep --at every:5 --ranks any --kinds 'sigkill,torn(keep=0.5)' train.py
  resumable sweep --sample 20 --budget 120s --junit sweep.xml train.py""",
        common=("at", "ranks", "kinds", "sample", "budget", "jobs", *_COMMON, *_REPORTS),
    ),
}

_FAULTS = f"""\
faults  kind@when:who, counted from 0 over all restarts
{textwrap.fill(" ".join(FaultKind), 78, initial_indent="  kind  ", subsequent_indent="        ")}
  when  step=K  batch=K  epoch=E,batch=B  save#N  load#N  resume+K
  who   rank=R  rank=any  rank=all  node=N"""


def short_epilog(command: str) -> str:
    """What stands under the short list of options."""
    examples = f"examples\n{LAUNCHES[command].examples}"
    return f"{examples}\n\n{_FAULTS}\n\n{EXIT_CODES}\nevery option, and what each fault does: resumable {command} --help-all"


def whole_epilog(command: str) -> str:
    """What stands under the list of all options."""
    return f"examples\n{LAUNCHES[command].examples}\n\nfaults\n{GRAMMAR}\n\n{EXIT_CODES}"


class ShortHelp(argparse.Action):
    """Prints what most users need, and ends; `const` names the command."""

    def __init__(self, option_strings: Sequence[str], dest: str, const: str) -> None:
        super().__init__(option_strings, dest, nargs=0, const=const, help="show this help and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        """Hide all other options, and print."""
        for option in options_of(parser):
            if option.dest not in (*LAUNCHES[self.const].common, "help", "help_all"):
                option.help = argparse.SUPPRESS
        parser.epilog = short_epilog(self.const)
        parser.print_help()
        parser.exit()
