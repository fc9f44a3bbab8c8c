import io
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.explain.check_result import Violation, failed
from resumable.launch.explain.codes.ends import SeeLog
from resumable.launch.explain.codes.resume import NoCheckpointEver
from resumable.launch.explain.codes.verdicts import NothingResumed
from resumable.launch.judge.verdict import CheckReport, judge_evidence, undecided
from resumable.launch.reading.evidence import Evidence
from resumable.launch.report.terminal import explain, print_what_to_type, render
from tests.launch import histories
from tests.launch.histories import Job

JOB = Job(num_samples=64, batch_size=4)
LOOK_AGAIN = "look again: resumable check runs/1"


def rendered(evidence: Evidence, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, no_color=True, force_terminal=False)
    render(judge_evidence(evidence), evidence.plan, RunDir(root=Path("runs/1")), console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def wrong() -> Evidence:
    return histories.one_kill(JOB, rank1=lambda epochs: [epochs[0][1:], *epochs[1:]])


def test_a_valid_run_says_so_in_its_last_lines():
    """The verdict, and what it does not show."""
    _, is_said, note = rendered(histories.one_kill(JOB)).partition("\nVALID\n")
    assert is_said
    assert note.startswith("  note: only epoch 0 was resumed in")


@pytest.mark.parametrize(
    ("evidence", "has_page", "expected"),
    [
        (histories.one_kill(JOB), False, [LOOK_AGAIN]),
        (wrong(), False, [LOOK_AGAIN, "on a page:  resumable report runs/1 --html report.html"]),
        (wrong(), True, [LOOK_AGAIN]),
    ],
)
def test_what_is_wrong_can_be_looked_into_on_a_page(evidence: Evidence, has_page: bool, expected: list[str]) -> None:
    """Whoever has one already is not sent for it."""
    printed = io.StringIO()
    print_what_to_type(judge_evidence(evidence), "runs/1", Console(file=printed, width=80), has_page=has_page)
    assert expected == printed.getvalue().splitlines()


@pytest.mark.parametrize(
    "words",
    [
        "faulted: 2 ranks, 1 node, 2 incarnations",
        "sigkill@step=4:rank=1: rank 1 of incarnation 0, 5 steps done",
        "next batch after",
        "rank_sequence     WRONG",
        "rank 1 trained on different samples in batch 4 of epoch 0",
        "it skipped 1 batch from batch 4 of epoch 0 on",
        "faulted/events/i001-r0001-1.jsonl:5",
        "INVALID: rank 1 trained on different samples",
    ],
)
def test_an_invalid_run_is_told_from_the_fault_to_the_wrong_batch(words):
    """What died, which check failed, the first difference and its explanation."""
    assert words in rendered(wrong())


def test_expected_and_found_indices_stand_above_each_other():
    """With a mark under the first difference."""
    lines = rendered(wrong()).splitlines()
    top = next(number for number, line in enumerate(lines) if line.startswith("  expected "))
    batches = JOB.epoch(1, 0)
    assert [str(index) for index in batches[4]] == lines[top].split()[1:]
    assert [str(index) for index in batches[5]] == lines[top + 1].split()[1:]
    assert "^" in lines[top + 2]


def test_a_terminal_is_not_told_what_to_do_by_a_job():
    """A message may hold any bytes."""
    evidence = wrong()
    death = CheckReport(name="progress", claim="", result=failed([Violation(sentence="y\x1b]0;z\x07")], "x\x1b[2J"))
    verdict = msgspec.structs.replace(judge_evidence(evidence), checks=(death,), reason="z\x1b[31m")
    console = Console(file=io.StringIO(), width=80, no_color=True, force_terminal=False)
    render(verdict, evidence.plan, RunDir(root=Path("runs/1")), console)
    assert isinstance(console.file, io.StringIO)
    assert "\x1b" not in console.file.getvalue()


@pytest.mark.parametrize("evidence", [histories.one_kill(JOB), wrong()])
def test_it_is_readable_at_80_columns(evidence):
    """No line is longer, and nothing of it needs colour."""
    output = rendered(evidence)
    assert max(map(len, output.splitlines())) <= 80
    assert "\x1b" not in output


def test_it_ends_with_what_is_wrong_where_and_what_to_do():
    """Whatever follows from it has a line each; a person at a terminal reads the end."""
    lines = rendered(wrong(), width=200).splitlines()
    first = lines.index("INVALID: rank 1 trained on different samples in batch 4 of epoch 0")
    assert lines[first + 1].startswith("  it skipped 1 batch from batch 4 of epoch 0 on")
    assert [line[:9] for line in lines[first + 5 : first + 8]] == ["  where: ", "  to do: ", ""]
    assert lines[first + 8] == "besides, perhaps because of it:"


def test_many_violations_are_counted():
    """A handful is named."""
    verdict = judge_evidence(wrong())
    many = failed([Violation(sentence=f"violation {number}", rank=number) for number in range(10)], "all wrong")
    report = CheckReport(name="rank_sequence", claim="", result=many)
    printed = io.StringIO()
    console = Console(file=printed, width=80)
    changed = msgspec.structs.replace(verdict, checks=(report,))
    render(changed, wrong().plan, RunDir(root=Path("runs/1")), console)
    output = printed.getvalue()
    assert ("violation 3" in output, "violation 4" in output) == (True, False)
    assert "rank_sequence: and 6 more, in verdict.json" in output


def test_an_explanation_that_fits_all_ranks_is_printed_once():
    """The same words for every rank would hide the difference between ranks that differ."""
    skip = {f"rank{r}": lambda epochs: [epochs[0][1:], *epochs[1:]] for r in (0, 1)}
    assert rendered(histories.one_kill(JOB, **skip)).count("it skipped 1 batch") == 1


def test_a_job_that_failed_by_itself_is_shown_by_its_own_error(tmp_path: Path) -> None:
    """Nothing was done to it yet, so no check has anything to say."""
    run_dir = RunDir(root=tmp_path)
    log = tmp_path / "reference-1/logs/i000/rank1.err"
    log.parent.mkdir(parents=True)
    log.write_text("usage: train.py\n\ntrain.py: error: \x1b[31munrecognized arguments: --foo\n")
    nothing = msgspec.structs.replace(histories.history("faulted", []), ends=())
    evidence = histories.of_histories(nothing, JOB, [histories.sigkill(4)], first=histories.failed_reference(JOB))
    console = Console(file=io.StringIO(), width=200, no_color=True, force_terminal=False)
    render(judge_evidence(evidence), evidence.plan, run_dir, console)
    assert isinstance(console.file, io.StringIO)
    expected = [
        "The job failed by itself, before anything was done to it.",
        "",
        "the end of reference-1/logs/i000/rank1.err:",
        "    usage: train.py",
        "    train.py: error: \ufffd[31munrecognized arguments: --foo",
    ]
    assert expected == console.file.getvalue().splitlines()[:5]


def test_an_end_that_nobody_planned_is_shown_by_its_log(tmp_path: Path) -> None:
    """What the process said is what there is to know."""
    log = "faulted/logs/i001/rank0.err"
    (tmp_path / log).parent.mkdir(parents=True)
    (tmp_path / log).write_text("KeyError: 'modle'\n")
    verdict = judge_evidence(wrong())
    violation = Violation(problem=NothingResumed(), reason=SeeLog(log=log), file=log)
    check = CheckReport(name="progress", claim="", result=failed([violation], "died"))
    changed = msgspec.structs.replace(verdict, checks=(check,), cause=None)
    console = Console(file=io.StringIO(), width=200, no_color=True, force_terminal=False)
    explain(changed, RunDir(root=tmp_path), console)
    assert isinstance(console.file, io.StringIO)
    expected = [f"  where: {log}", "", f"the end of {log}:", "    KeyError: 'modle'", ""]
    assert expected == console.file.getvalue().splitlines()[1:6]


def test_a_verdict_without_a_difference_says_what_to_do_too() -> None:
    """Of its cause."""
    verdict = undecided("faulted", NoCheckpointEver(rank=0, incarnation=1))
    console = Console(file=io.StringIO(), width=200, no_color=True, force_terminal=False)
    explain(verdict, RunDir(root=Path("runs/1")), console)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines()[1] == f"  to do: {NoCheckpointEver.remedy}"
