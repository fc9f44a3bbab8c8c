"""A failure as the text of a bug report: what was run, what was expected, what came, where it stands; no opinion."""

from __future__ import annotations

import ast
import json
import shlex
from collections.abc import Iterator, Mapping
from importlib.metadata import distribution, packages_distributions, version
from itertools import islice
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import msgspec

from resumable.launch.evidence.recorded_text import RecordedText
from resumable.launch.explain.check_result import Violation
from resumable.launch.explain.outcome import Outcome
from resumable.launch.judge.results import Case, Results
from resumable.launch.plan.plan import Plan, Scenario, Script
from resumable.launch.plan.repeat_command import repeat_command
from resumable.launch.report.batches import marked_difference
from resumable.launch.report.story import story_of
from resumable.launch.report.terminal import told_fault
from resumable.launch.system.safe_io import read_from
from resumable.launch.system.text_safety import fenced, markdown_prose
from resumable.launch.system.text_safety import markdown as escaped
from resumable.launch.system.wording import listed, place

MAX_SCRIPT_BYTES = 1 << 20
MAX_LINE = 600
"""Characters of a line of evidence that are quoted."""
_WIDTH = 90
_HOW = (
    "`resumable verify` runs the script twice undisturbed, and once with what is named above. Each rank writes down the "
    "samples that it trains on, and its losses and parameters after each step."
)


def issue(results: Results, case: Case, plan: Plan, *, folder: Path) -> str:
    """Markdown for a bug tracker, with a title in its first line.

    Args:
        results: Of the command.
        case: One of its cases, with something wrong.
        plan: Of the command.
        folder: The run directory, from which lines of evidence are quoted.
    """
    first = story_of(case.verdict).first
    violation = Violation(sentence=case.verdict.reason) if first is None else first.violation
    blocks = [f"# After a restart, {markdown_prose(violation.sentence)}"]
    blocks += _setting(results, case, plan)
    blocks += _difference(case, violation, "" if first is None else first.check)
    blocks += _evidence(case, violation, folder)
    return "\n\n".join(blocks) + "\n"


def distributions(script: Script) -> dict[str, str]:
    """The installed distributions that a script imports by name, with their versions; none where it cannot be read."""
    file = script_file(script)
    if file is None or file.suffix != ".py":
        return {}
    try:
        tree = ast.parse(read_from(file, 0, MAX_SCRIPT_BYTES))
    except (OSError, SyntaxError, ValueError, RecursionError):
        return {}
    by_module = packages_distributions()
    names = {name for module in _imported(tree) for name in by_module.get(module, ())}
    return {name: version(name) for name in sorted(names - {"resumable", "torch"})}


def script_file(script: Script) -> Path | None:
    """The file that a maintainer needs to have; None where it is a module, a program or a function."""
    is_other = script.is_module or script.is_program or script.is_command or script.is_function
    return None if is_other else Path(script.path)


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def _setting(results: Results, case: Case, plan: Plan) -> Iterator[str]:
    tools = results.tools
    others = distributions(plan.script)
    torch = {"torch": tools.torch} if tools.torch else {}
    requirements = [f"{name}=={_public(number)}" for name, number in torch.items()]
    found = [f"{name} {number}" for name, number in torch.items()]
    for name, number in {**others, "resumable": tools.resumable}.items():
        requirement, origin = origin_of(name, number)
        requirements += [requirement] if requirement else []
        found.append(f"{name} {number}" + (f" from {origin}" if origin else ""))
    yield "## To reproduce"
    lines = [f"pip install {shlex.join(requirements)}"] if requirements else []
    if not plan.script.is_function:
        lines.append(_command(plan, plan.scenario(case.scenario)))
    yield fenced("\n".join(lines), "sh")
    if case.faults:
        yield _HOW
    python = [f"Python {tools.python}"] if tools.python else []
    yield (
        "Versions: "
        + escaped(", ".join([*found, *python]))
        + (f" ({escaped(listed(list(others)))}: as installed where this was written)." if others else ".")
    )


def _command(plan: Plan, scenario: Scenario) -> str:
    """With the script's name alone: the folders of this machine help nobody."""
    file = script_file(plan.script)
    script = plan.script if file is None else msgspec.structs.replace(plan.script, path=file.name)
    return repeat_command(msgspec.structs.replace(plan, script=script), scenario)


def origin_of(name: str, number: str) -> tuple[str, str]:
    """What pip is asked for to install a distribution as it is here, and what it was installed from.

    The first is "" where neither an index nor a public repository has it, the second where it came from an index. Of
    folders no name is told: pip's own note (PEP 610) says what it was.
    """
    note = distribution(name).read_text("direct_url.json")
    if note is None:
        return f"{name}=={_public(number)}", ""
    facts = json.loads(note)
    url, repository, file = facts["url"], facts.get("vcs_info"), facts.get("archive_info")
    if repository is not None:
        commit = repository["commit_id"]
        address = "" if url.startswith("file:") else f"{name} @ {repository['vcs']}+{url}@{commit}"
        return address, f"commit {commit}"
    if file is None:
        return "", "a folder"
    digest = "".join(f", {kind} {value}" for kind, value in file.get("hashes", {}).items())
    return "", f"the file {PurePosixPath(urlsplit(url).path).name}{digest}"


def _public(number: str) -> str:
    """Of `2.13.0+cpu` what an index knows."""
    return number.partition("+")[0]


def _difference(case: Case, violation: Violation, check: str) -> Iterator[str]:
    claims: Mapping[str, str] = {report.name: report.claim for report in case.verdict.checks}
    yield "## What was done"
    yield "\n".join(f"- {escaped(told_fault(event))}" for event in case.verdict.fired_faults) or "Nothing."
    yield "## Expected"
    yield markdown_prose(claims.get(check, "the job goes on as it does undisturbed").rstrip(".")) + "."
    yield "## Found"
    why = f": {violation.explanation}" if violation.explanation else ""
    yield f"{markdown_prose(f'{violation.sentence}{why}')}."
    if violation.expected is not None and violation.found is not None:
        yield fenced("\n".join(marked_difference(violation.expected, violation.found, _WIDTH)), "text")


def _evidence(case: Case, violation: Violation, folder: Path) -> Iterator[str]:
    yield "## Evidence"
    shown = [r for r in case.verdict.checks if r.result.outcome is not Outcome.NOT_APPLICABLE]
    rows = [f"| {escaped(r.name)} | {r.result.outcome.upper()} | {markdown_prose(r.result.summary)} |" for r in shown]
    yield "\n".join(["| check | outcome | figures |", "|---|---|---|", *rows])
    if violation.file is not None:
        quoted = _line(folder / violation.file, violation.line)
        yield f"In {escaped(place(violation.file, violation.line))}" + (":" if quoted else ".")
        yield from [fenced(quoted, "json")] if quoted else []
    if case.verdict.confirmation == "both":
        yield "It was seen twice: with ranks of a fork server, and with plain `python` processes."


def _line(file: Path, number: int | None) -> str:
    """A line of a file, as far as it is shown; "" where it cannot be had."""
    if number is None:
        return ""
    try:
        line = next(islice(RecordedText(file).lines(), number - 1, None), b"")
    except (OSError, ValueError):  # there is no line 0
        return ""
    text = line.decode(errors="replace").rstrip("\n")
    return text if len(text) <= MAX_LINE else f"{text[:MAX_LINE]} ..."
