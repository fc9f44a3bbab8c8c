"""What help says besides the list of options: where to begin, examples, and which options the short help shows."""

from __future__ import annotations

import textwrap

import msgspec

from resumable.launch.plan.fault_grammar import GRAMMAR
from resumable.launch.plan.fault_kinds import FaultKind

BEGINNING = """\
Kills a training job, lets it restart, and proves that it goes on with exactly the batch that would have come next.

  resumable verify                                     try it: the built-in job (needs scikit-learn)
  resumable verify --nproc-per-node 2 train.py ARGS    your script, killed after step 7
  resumable sweep --nproc-per-node 2 train.py ARGS     killed after every step, on every rank
  resumable example ddp > example.py                   a script that resumes exactly, to start from
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
  resumable verify                                              the built-in job, killed after step 7
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
        common=("at", "ranks", "kinds", "chain", "sample", "budget", "until_failure", *_COMMON, *_REPORTS),
    ),
}


class ToolHelp(msgspec.Struct, frozen=True, kw_only=True):
    """What the help of a command says that launches no job of its own."""

    summary: str
    about: str
    examples: str


TOOLS = {
    "record": ToolHelp(
        summary="keep the evidence of any command that starts ranks",
        about="Runs a command that starts ranks, such as torchrun, accelerate launch or srun, and keeps the evidence of "
        "what each rank trains on, over all restarts. With the same --run-dir, further attempts are added.",
        examples="""\
  resumable record -- torchrun --nproc-per-node 2 --max-restarts 3 train.py
  resumable record --run-dir /shared/job -- srun python train.py
  resumable check /shared/job                      what it proves""",
    ),
    "check": ToolHelp(
        summary="run the checks again, on stored evidence",
        about="Gives the verdict again from the evidence alone, without torch and without running anything.",
        examples="""\
  resumable check runs/20260101-120000-4711
  resumable check attempt-1 attempt-2              a recorded job, one folder an attempt or a host
  resumable check /shared/job --against /shared/undisturbed""",
    ),
    "who": ToolHelp(
        summary="which samples were trained on in a step, and when a sample was",
        about="Tells from the evidence which samples each rank trained on, for a spike in the loss, say.",
        examples="""\
  resumable who RUN --step 1200                    what each rank trained on in this step
  resumable who RUN --epoch 1 --batch 17
  resumable who RUN --sample 4711                  when, where and how often""",
    ),
    "watch": ToolHelp(
        summary="show how far a run is, while it goes on",
        about="Shows step, loss, restarts and time left of each rank, or the grid of a sweep, until the run is over.",
        examples="""\
  resumable watch runs/20260101-120000-4711
  resumable watch RUN --once                       print how it is now""",
    ),
    "plan": ToolHelp(
        summary="which samples each rank will get, without training",
        about="Prints which samples a sampler of resumable.samplers will give each rank in the steps to come. An order that "
        "only a program describes, as a mixture: resumable.samplers.plan(sampler, epoch, steps).",
        examples="""\
  resumable plan --num-samples 50000 --world-size 8 --batch-size 32 --epoch 1
  resumable plan --state checkpoint.pt --world-size 3             from there on, on 3 ranks""",
    ),
    "report": ToolHelp(
        summary="write files for people and programs, from stored evidence",
        about="Writes what is known of a run in other forms; all of them can be asked for at once.",
        examples="""\
  resumable report RUN --html report.html          a page to look into: timeline, samples, logs
  resumable report RUN --junit resume.xml --markdown summary.md
  resumable report RUN --bundle run.zip            everything in one file; `resumable check run.zip` reads it""",
    ),
    "issue": ToolHelp(
        summary="print a failure as the text of a bug report, from stored evidence",
        about="Prints the smallest command, versions, what was expected and found, and where the evidence is, in Markdown.",
        examples="""\
  resumable issue RUN > issue.md
  resumable issue RUN --scenario sigkill@step=12:rank=0""",
    ),
    "compose": ToolHelp(
        summary="write what nodes in containers are made of: Dockerfile, compose file, package",
        about="Writes a new folder with a Dockerfile, a compose file and this package, for nodes that are containers.",
        examples="""\
  resumable compose nodes""",
    ),
    "doctor": ToolHelp(
        summary="find what would make restarts fail on this machine, and how to fix it",
        about="Looks at ports, limits, memory, disks and clocks, and restarts a small job for a trial.",
        examples="""\
  resumable doctor
  resumable doctor --quick --nproc-per-node 8""",
    ),
    "example": ToolHelp(
        summary="print a training script that resumes exactly, to start from",
        about="Prints a whole training script that saves and loads all that it needs to go on exactly.",
        examples="""\
  resumable example ddp > example.py
  resumable verify --nproc-per-node 2 example.py""",
    ),
    "completion": ToolHelp(
        summary="print what a shell needs to complete commands and options",
        about="Prints a script for a shell. Keep it where the shell looks when it first completes this command; for zsh, a "
        "folder of its fpath.",
        examples="""\
  resumable completion bash > ~/.local/share/bash-completion/completions/resumable
  resumable completion zsh > ~/.zfunc/_resumable
  resumable completion fish > ~/.config/fish/completions/resumable.fish""",
    ),
}
"""All commands but those that launch a job, in the order of the help."""

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


def tool_epilog(command: str) -> str:
    """What stands under the options of a command that launches nothing."""
    return f"examples\n{TOOLS[command].examples}"
