"""No change to a line of stored evidence passes for what was recorded.

One thing alone cannot be noticed: that files of the supervisor and of all others were changed together, with new links and a
new seal, by somebody who knows how. That is a forgery, not damage.
"""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from resumable.launch.errors import DamagedPlanError
from resumable.launch.evidence.history_reader import read_history
from resumable.launch.evidence.run_dir import RunDir, ScenarioDir
from resumable.launch.explain.outcome import Outcome
from resumable.launch.judge.verdict import judge
from tests.launch.corpus.record import CORPUS
from tests.launch.sealed import seal_again

Mutation = Callable[[list[bytes], int, random.Random], list[bytes]]


def without(lines: list[bytes], number: int, _draw: random.Random) -> list[bytes]:
    return [*lines[:number], *lines[number + 1 :]]


def swapped(lines: list[bytes], number: int, _draw: random.Random) -> list[bytes]:
    following = (number + 1) % len(lines)
    order = list(range(len(lines)))
    order[number], order[following] = following, number
    return [lines[place] for place in order]


def without_the_rest(lines: list[bytes], number: int, _draw: random.Random) -> list[bytes]:
    return lines[:number]


def with_another_number(lines: list[bytes], number: int, draw: random.Random) -> list[bytes]:
    figures = list(re.finditer(rb"\d+", lines[number]))
    figure = draw.choice(figures)
    changed = str(int(figure[0]) + draw.choice([1, 2, 10])).encode()
    line = lines[number][: figure.start()] + changed + lines[number][figure.end() :]
    return [*lines[:number], line, *lines[number + 1 :]]


def with_another_letter(lines: list[bytes], number: int, draw: random.Random) -> list[bytes]:
    place = draw.randrange(len(lines[number]) - 1)
    line = bytearray(lines[number])
    line[place] ^= 1
    return [*lines[:number], bytes(line), *lines[number + 1 :]]


RUNS = ("plain", "resized", "hang", "killed-twice")


@pytest.fixture(params=RUNS)
def run_dir(request: pytest.FixtureRequest, tmp_path: Path) -> RunDir:
    """A recorded run with links and seals."""
    run_dir = RunDir(root=Path(shutil.copytree(CORPUS / request.param, tmp_path / "run")))
    for scenario in run_dir.read_plan().scenarios:
        seal_again(run_dir.scenario(scenario.name))
    return run_dir


def files_of(scenario: ScenarioDir) -> list[Path]:
    return sorted([*scenario.events.glob("*"), *scenario.nodes.glob("*.jsonl")])


def noticed(scenario: ScenarioDir) -> bool:
    history = read_history(scenario)
    return bool(history.damage) or not history.is_sealed


def mutated(scenario: ScenarioDir, mutate: Mutation, *, num: int) -> Iterator[tuple[str, int]]:
    """Change one line after the other, drawn from all; says in which file and where."""
    draw = random.Random(mutate.__name__)
    for file in files_of(scenario):
        content = file.read_bytes()
        lines = content.splitlines(keepends=True)
        for number in draw.sample(range(len(lines)), min(num, len(lines))):
            changed = b"".join(mutate(lines, number, draw))
            file.write_bytes(changed)
            yield (file.name, number) if changed != content else ("", 0)
        file.write_bytes(content)


@pytest.mark.parametrize("mutate", [without, swapped, without_the_rest, with_another_number, with_another_letter])
def test_a_changed_line_is_noticed(run_dir: RunDir, mutate: Mutation) -> None:
    """In any file of any process, of nodes and of the supervisor; its end included."""
    scenario = run_dir.scenario("faulted")
    assert [place for place in mutated(scenario, mutate, num=25) if place[0] and not noticed(scenario)] == []


def test_a_reference_that_lost_its_end_is_no_yardstick(run_dir: RunDir) -> None:
    """Without its seal nobody knows whether it is all there."""
    for scenario in run_dir.read_plan().references:
        run_dir.scenario(scenario.name).supervisor_file.write_bytes(b"")
    assert judge(run_dir.read_plan(), run_dir).outcome is not Outcome.VALID


def test_files_that_come_and_go_are_noticed(run_dir: RunDir) -> None:
    """None may be missing, and none be put beside them."""
    scenario = run_dir.scenario("faulted")
    hidden = []
    for file in files_of(scenario):
        content = file.read_bytes()
        file.unlink()
        hidden += [] if noticed(scenario) else [file.name]
        file.with_name("i009-r0009-1.jsonl").write_bytes(content)
        hidden += [] if noticed(scenario) else [f"{file.name} moved"]
        file.with_name("i009-r0009-1.jsonl").unlink()
        file.write_bytes(content)
    assert hidden == []


def mutated_plans(run_dir: RunDir) -> Iterator[str]:
    """Change one number in it after the other, but for its version; says which."""
    text = run_dir.plan_file.read_text()
    for figure in re.finditer(r'(?<!"version": )(?<![\w.])\d+', text):
        run_dir.plan_file.write_text(f"{text[: figure.start()]}{int(figure[0]) + 1}{text[figure.end() :]}")
        yield text[: figure.end()].splitlines()[-1]
    run_dir.plan_file.write_text(text)


def test_a_changed_plan_is_noticed(run_dir: RunDir) -> None:
    """Each number in it: of ranks, of restarts, of a fault; whatever it makes of the verdict, it is not believed."""
    places = [(place, is_believed(run_dir)) for place in mutated_plans(run_dir)]
    assert (len(places) > 5, [place for place, is_believed in places if is_believed]) == (True, [])


def is_believed(run_dir: RunDir) -> bool:
    """Whether anything is proved by it."""
    try:
        return judge(run_dir.read_plan(), run_dir).outcome is not Outcome.UNKNOWN
    except DamagedPlanError:
        return False


def test_evidence_of_before_is_believed_as_before(tmp_path: Path) -> None:
    """It has neither links nor a seal."""
    run_dir = RunDir(root=Path(shutil.copytree(CORPUS / "plain", tmp_path / "run")))
    assert judge(run_dir.read_plan(), run_dir).outcome is Outcome.VALID


def test_sealed_evidence_has_the_verdict_that_it_had(run_dir: RunDir) -> None:
    """Links and seals change nothing else."""
    [before] = [RunDir(root=CORPUS / name) for name in RUNS if has_plan_of(run_dir, CORPUS / name)]
    assert judge(run_dir.read_plan(), run_dir) == judge(before.read_plan(), before)


def has_plan_of(run_dir: RunDir, recorded: Path) -> bool:
    return run_dir.plan_file.read_bytes() == (recorded / "plan.json").read_bytes()
