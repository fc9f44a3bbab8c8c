from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.plan.plan import Plan
from resumable.launch.run.kept_references import KeptReferences, Provided
from tests.launch.sweep.sweeps import plan, spec


class Maker:
    """Stands for the runs: it writes what they would, and counts."""

    def __init__(self, made: Plan, root: Path, *, succeeds: bool = True) -> None:
        self.plan = made
        self.run_dir = RunDir(root=root)
        self.succeeds = succeeds
        self.num_runs = 0

    def run(self) -> bool:
        self.num_runs += 1
        for reference in self.plan.references:
            folder = self.run_dir.scenario(reference.name).root / "events"
            folder.mkdir(parents=True)
            (folder / "rank0.jsonl").write_text(reference.name)
        return self.succeeds

    def provided(self, kept: KeptReferences) -> Provided:
        return kept.provide(self.plan, self.run_dir, self.run)

    def evidence(self) -> dict[str, str]:
        files = self.run_dir.root.glob("*/events/*.jsonl")
        return {str(file.relative_to(self.run_dir.root)): file.read_text() for file in files}


@pytest.fixture
def job(tmp_path: Path) -> Plan:
    script = tmp_path / "train.py"
    script.write_text("train()")
    made = plan(spec())
    return msgspec.structs.replace(made, script=msgspec.structs.replace(made.script, path=str(script)))


@pytest.mark.parametrize("succeeds", [True, False])
def test_who_comes_second_gets_what_the_first_has_made(job: Plan, tmp_path: Path, succeeds: bool) -> None:
    """Whether it ended well is kept with it."""
    first, second = (Maker(job, tmp_path / name, succeeds=succeeds) for name in ("a", "b"))
    answers = [maker.provided(KeptReferences(tmp_path / "kept")) for maker in (first, second)]
    assert [(succeeds, False), (succeeds, True)] == [(own.have_succeeded, own.were_kept) for own in answers]
    assert (first.num_runs, second.num_runs) == (1, 0)
    assert {f"{name}/events/rank0.jsonl": name for name in ("reference-1", "reference-2")} == second.evidence()


@pytest.mark.parametrize("what", ["script", "arguments", "surroundings"])
def test_another_job_has_references_of_its_own(job: Plan, tmp_path: Path, what: str) -> None:
    """The content of the script counts, not when it was written."""
    Maker(job, tmp_path / "a").provided(KeptReferences(tmp_path / "kept"))
    if what == "script":
        Path(job.script.path).write_text("train(slowly=True)")
    arguments = ("--lr", "1") if what == "arguments" else ()
    changed = msgspec.structs.replace(job, script=msgspec.structs.replace(job.script, arguments=arguments))
    second = Maker(changed, tmp_path / "b")
    second.provided(KeptReferences(tmp_path / "kept", surroundings="torch" if what == "surroundings" else ""))
    assert second.num_runs == 1


def test_what_is_forgotten_is_made_anew(job: Plan, tmp_path: Path) -> None:
    """In the run directory it makes room for that."""
    kept, maker = KeptReferences(tmp_path / "kept"), Maker(job, tmp_path / "a")
    maker.provided(kept)
    kept.forget(job, maker.run_dir)
    assert maker.evidence() == {}
    assert not maker.provided(kept).were_kept


def test_what_the_user_s_commands_keep_is_of_these_versions(
    job: Plan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And lies where caches do, for its owner alone."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    makers = [Maker(job, tmp_path / name) for name in "ab"]
    answers = [maker.provided(KeptReferences.of_user()).were_kept for maker in makers]
    folder = tmp_path / "cache" / "resumable" / "references"
    assert (answers, folder.stat().st_mode & 0o777) == ([False, True], 0o700)
