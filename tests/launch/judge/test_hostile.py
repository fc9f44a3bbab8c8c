"""A run directory from a stranger: damage makes UNKNOWN, with one line that names the file, and nothing waits or escapes."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from resumable.launch.cli.main import main
from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.reading.evidence import Evidence
from tests.launch.report import samples
from tests.launch.sealed import seal_again

DEEP = b"[" * 100_000 + b"]" * 100_000
NO_TEXT = b'"\xff\xfe"'
COMMANDS = pytest.mark.parametrize(
    "command", [("check", "-q"), ("report", "--json", "results.json")], ids=lambda c: c[0]
)


@pytest.fixture
def run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDir:
    """The evidence of a job that resumes well."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    (tmp_path / "run").mkdir()
    return samples.stored(samples.valid(), tmp_path / "run")


def nested(data: bytes) -> bytes:
    """The last object has a field that nobody knows."""
    head, brace, tail = data.rpartition(b"}")
    return head + b', "x": ' + DEEP + brace + tail


def no_text(data: bytes) -> bytes:
    """The first text is no UTF-8."""
    return re.sub(b'(": ?")', b"\\1\xff", data, count=1)


@COMMANDS
@pytest.mark.parametrize("spoil", [nested, no_text])
@pytest.mark.parametrize("pattern", ["faulted/events/i001-r0000-*", "faulted/nodes/*", "plan.json"])
def test_a_file_that_cannot_be_read_proves_nothing(
    run_dir: RunDir,
    capsys: pytest.CaptureFixture[str],
    command: tuple[str, ...],
    spoil: Callable[[bytes], bytes],
    pattern: str,
) -> None:
    """UNKNOWN, and the file has a name in what is said."""
    file = next(run_dir.root.glob(pattern))
    file.write_bytes(spoil(file.read_bytes()))
    assert main([command[0], str(run_dir.root), *command[1:]]) == 3
    written = Path("results.json").read_text() if Path("results.json").exists() else ""
    said = "".join(capsys.readouterr())
    assert (file.name in said + written, said.count("\n") <= 1) == (True, True)


@COMMANDS
@pytest.mark.parametrize("value", [DEEP, NO_TEXT], ids=["deep", "no text"])
def test_a_verdict_is_no_evidence(run_dir: RunDir, command: tuple[str, ...], value: bytes) -> None:
    """Whatever lies there, the evidence is judged."""
    run_dir.verdict_file.write_bytes(value)
    assert main([command[0], str(run_dir.root), *command[1:]]) == 0


def make_pipe(file: Path) -> None:
    file.unlink(missing_ok=True)
    os.mkfifo(file)


@COMMANDS
@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("plan.json", 3),
        ("verdict.json", 0),
        ("verdict.tmp", 0),
        ("faulted/nodes/node-0.jsonl", 3),
        ("faulted/events/i000-r0000-1000.jsonl", 3),
        ("reference-1/nodes/x.jsonl", 3),
    ],
)
@pytest.mark.timeout(30)
def test_nobody_waits_for_a_pipe(run_dir: RunDir, command: tuple[str, ...], name: str, code: int) -> None:
    """In the place of a file it is damage."""
    make_pipe(run_dir.root / name)
    assert main([command[0], str(run_dir.root), *command[1:]]) == code


@COMMANDS
@pytest.mark.parametrize(
    "forge",
    [
        lambda text: text[: text.index('"scenarios"')] + '"scenarios": [], "seed": 0, "torchrun": {}}',
        lambda text: text.replace('"faulted"', f'"{"x" * 5000}"', 1),
        lambda text: text.replace('"faulted"', '"../faulted"', 1),
        lambda text: text.replace('"faulted"', '".."', 1),
        lambda text: text.replace('"faulted"', '"a\\u0000b"', 1),
        lambda text: text.replace('"nproc_per_start": [\n        2\n      ]', '"nproc_per_start": []', 1),
        lambda text: re.sub(r'"numbers": \[.*?\]', '"numbers": []', text, count=1, flags=re.DOTALL),
    ],
    ids=["no scenario", "long name", "name above", "parent", "nul", "no start", "no moment"],
)
def test_a_plan_that_nobody_would_have_made_is_damaged(
    run_dir: RunDir, capsys: pytest.CaptureFixture[str], command: tuple[str, ...], forge: Callable[[str], str]
) -> None:
    """One line, which names it."""
    run_dir.plan_file.write_text(forge(run_dir.plan_file.read_text()))
    assert main([command[0], str(run_dir.root), *command[1:]]) == 3
    said = capsys.readouterr().err
    assert ("plan.json is damaged" in said, said.count("\n"), len(said) < 500) == (True, 1, True)


@COMMANDS
@pytest.mark.parametrize("path", ["a\0b", "x" * 5000, "nowhere"], ids=["nul", "long", "missing"])
@pytest.mark.usefixtures("run_dir")
def test_a_path_that_cannot_be_is_a_usage_error(command: tuple[str, ...], path: str) -> None:
    """There is no run directory."""
    assert main([command[0], path, *command[1:]]) == 2


def test_a_damaged_plan_leaves_the_other_runs_their_verdict(run_dir: RunDir, tmp_path: Path) -> None:
    """INVALID beats what cannot be read."""
    run_dir.plan_file.write_text("{")
    (tmp_path / "other").mkdir()
    other = samples.stored(samples.invalid(), tmp_path / "other")
    assert main(["check", "-q", str(run_dir.root), str(other.root)]) == 1


def test_a_link_in_the_place_of_a_draft_leads_nowhere(run_dir: RunDir, tmp_path: Path) -> None:
    """`check` writes into the run directory alone."""
    (tmp_path / "precious").write_bytes(b"precious")
    for name in ("verdict.tmp", "verdict.json"):
        (run_dir.root / name).symlink_to(tmp_path / "precious")
    assert main(["check", "-q", str(run_dir.root)]) == 0
    assert ((tmp_path / "precious").read_bytes(), run_dir.verdict_file.is_symlink()) == (b"precious", False)


PAYLOAD = "\x1b]0;x\x07\x9b\u202e\u2028\n::error::pwned\n ##[error]pwned<script>[red]`|"
STEERS = ("\x1b]", "\x07", "\x9b", "\u202e", "\u2028", "##[")
FORMATS = ("--html", "--junit", "--json", "--markdown", "--trace")


def texts_of(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where in a JSON value a text stands."""
    if isinstance(value, str):
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from texts_of(item, (*path, key))


def spoilt(value: Any, path: tuple[Any, ...]) -> Any:
    if not path:
        return value + PAYLOAD
    key, *rest = path
    value[key] = spoilt(value[key], tuple(rest))
    return value


def places(root: Path) -> Iterator[tuple[Path, int, tuple[Any, ...]]]:
    """Every kind of text in every kind of file: its file, its line, and where in it."""
    seen = set()
    for file in sorted(root.rglob("*.json*")):
        lines = [file.read_text()] if file.suffix == ".json" else file.read_text().splitlines()
        for number, line in enumerate(lines):
            record = json.loads(line)
            for path in texts_of(record):
                kind = (file.parent.name, record.get("event"), tuple("#" if isinstance(k, int) else k for k in path))
                if kind not in seen:
                    seen.add(kind)
                    yield file, number, path


def steering(run_dir: RunDir, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What in all that a person, a browser or a workflow gets to see would act on it."""
    capsys.readouterr()
    main(["check", str(run_dir.root)])
    main(["check", "--quiet", str(run_dir.root)])
    main(["watch", "--once", str(run_dir.root)])
    main(["report", str(run_dir.root), *(word for flag in FORMATS for word in (flag, f"out/{flag}"))])
    files = {file.name: file.read_text() for file in Path().glob("out/*")}
    shown = "".join([*capsys.readouterr(), *files.values()])
    commands = re.findall(r"(?m)^\s*::error::pwned", shown)
    return [sign for sign in STEERS if sign in shown] + commands + re.findall("<script>", files.get("--html", ""))


@pytest.mark.parametrize("make", [samples.invalid, samples.undecided])
def test_no_text_of_a_stranger_steers_what_shows_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    make: Callable[[], Evidence],
) -> None:
    """Each text of plan and evidence in turn: not a terminal, a page, a workflow, nor the direction of reading."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")  # where more is printed, and nothing less
    monkeypatch.setenv("COLUMNS", "41")
    (tmp_path / "run").mkdir()
    run_dir = samples.stored(make(), tmp_path / "run")
    found = []
    for file, number, path in list(places(run_dir.root)):
        before = file.read_text()
        lines = [before] if file.suffix == ".json" else before.splitlines()
        lines[number] = json.dumps(spoilt(json.loads(lines[number]), path))
        file.write_text("\n".join(lines) + "\n")
        found.append((file.name, path, steering(run_dir, capsys)))
        file.write_text(before)
    assert [one for one in found if one[-1]] == []


@COMMANDS
@pytest.mark.parametrize("folder", ["events", "nodes"])
def test_a_file_longer_than_memory_proves_nothing(
    run_dir: RunDir, capsys: pytest.CaptureFixture[str], command: tuple[str, ...], folder: str
) -> None:
    """Eight gigabytes of nothing, though the run was sealed."""
    seal_again(run_dir.scenario("faulted"))
    with next(run_dir.root.glob(f"faulted/{folder}/*0*")).open("ab") as file:
        file.truncate(8 << 30)
    assert main([command[0], str(run_dir.root), *command[1:]]) == 3
    written = Path("results.json").read_text() if Path("results.json").exists() else ""
    assert "cannot be read: a line is longer than 64 MiB" in "".join(capsys.readouterr()) + written


@COMMANDS
def test_a_name_that_is_no_unicode_is_reported(run_dir: RunDir, command: tuple[str, ...]) -> None:
    """Of a file of evidence; what is written down says it as an escape."""
    (run_dir.root / "faulted" / "events" / os.fsdecode(b"i000-r0000-\xff.jsonl")).write_text("{}\n")
    assert main([command[0], str(run_dir.root), *command[1:]]) == 3


@COMMANDS
def test_a_sample_of_any_number_is_compared(run_dir: RunDir, command: tuple[str, ...]) -> None:
    """A job may name its samples by numbers that no machine word holds."""
    for file in run_dir.root.glob("*/events/*"):
        file.write_text(re.sub(r'"indices":\[', f'"indices":[{10**30},', file.read_text()))
    assert main([command[0], str(run_dir.root), *command[1:]]) == 0


@COMMANDS
@pytest.mark.parametrize("field", ["incarnation", "world_size", "rank"])
@pytest.mark.timeout(60)
def test_a_number_up_to_which_nobody_counts_is_damage(run_dir: RunDir, command: tuple[str, ...], field: str) -> None:
    """Readers go through all incarnations and ranks up to it."""
    for file in run_dir.root.glob("faulted/*/*.jsonl"):
        file.write_text(re.sub(rf'"{field}":[1-9]\d*', f'"{field}":{1 << 40}', file.read_text()))
    assert main([command[0], str(run_dir.root), *command[1:]]) == 3


def test_no_report_goes_where_a_link_leads(run_dir: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A link within the run directory may be a stranger's; one outside is the caller's own."""
    (run_dir.root / "page.html").symlink_to(tmp_path / "precious")
    (tmp_path / "own.html").symlink_to(tmp_path / "page.html")
    code = main(["report", str(run_dir.root), "--html", str(run_dir.root / "page.html")])
    said = capsys.readouterr().err
    assert (code, (tmp_path / "precious").exists(), "leads out of the run directory" in said) == (2, False, True)
    assert main(["report", str(run_dir.root), "--html", str(tmp_path / "own.html")]) == 0
    assert (tmp_path / "page.html").exists()
