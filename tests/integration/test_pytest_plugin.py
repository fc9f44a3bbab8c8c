"""The pytest plugin in a project of its own: real jobs, killed at the points of a mark."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

JOB = """
import sys
import torch
import torch.distributed as dist
from resumable.samplers import ResumableDataLoader, ResumableDistributedSampler

dist.init_process_group("gloo")
torch.manual_seed(0)
data = torch.randn(16, 2)
model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(2, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
loader = ResumableDataLoader(data, batch_size=2, sampler=ResumableDistributedSampler(data, batch_size=2))
try:
    saved = torch.load("checkpoint.pt")
    model.load_state_dict(saved["model"])
    if "forgetful" not in sys.argv:
        loader.load_state_dict(saved["loader"])
except FileNotFoundError:
    pass
for batch in loader:
    optimizer.zero_grad()
    model(batch).square().mean().backward()
    optimizer.step()
    if dist.get_rank() == 0:
        torch.save({"model": model.state_dict(), "loader": loader.state_dict()}, "checkpoint.tmp")
        __import__("os").replace("checkpoint.tmp", "checkpoint.pt")
        print("saved", flush=True)
    dist.barrier()
dist.destroy_process_group()
"""
POINTS = """
import pytest

@pytest.mark.resume(nproc_per_node=2, at="1,2", ranks="each", kinds=["sigkill"])
def test_training_survives(resume_rig):
    resume_rig.verify("train.py", *ARGUMENTS).assert_valid()
"""
NAMES = [f"test_training_survives[sigkill-step{step}-rank{rank}]" for step in (1, 2) for rank in (0, 1)]


class Project:
    """A repository with a job and tests of it."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        (pytester.path / "train.py").write_text(JOB)

    def tests(self, source: str, *arguments: str) -> None:
        (self.pytester.path / "test_training.py").write_text(
            source.replace("*ARGUMENTS", ", ".join(map(repr, arguments)))
        )

    def collect(self, *flags: str) -> pytest.RunResult:
        """Without a process of its own: no job is started."""
        return self.pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:xdist", "--strict-markers", *flags)

    def run(self, *flags: str) -> pytest.RunResult:
        return self.pytester.runpytest_subprocess("-p", "no:cacheprovider", "--strict-markers", *flags, timeout=280)

    @property
    def base(self) -> Path:
        return self.pytester.path / "base"

    def num_runs(self) -> int:
        """Run directories that are left."""
        return sum(file.parent.parent.name.startswith("resume") for file in self.base.rglob("plan.json"))


@pytest.fixture
def project(pytester: pytest.Pytester) -> Project:
    return Project(pytester)


@pytest.mark.parametrize("workers", [pytest.param("0", marks=pytest.mark.thorough), "2"])
def test_each_point_of_a_mark_is_a_test_and_they_share_their_references(project: Project, workers: str) -> None:
    """In the order of moments and ranks; however many workers run them, the job runs undisturbed twice."""
    project.tests(POINTS)
    listed = project.collect("--collect-only", "-q").stdout.lines
    assert [line.partition("::")[2] for line in listed if "::" in line] == NAMES
    ended = project.run("-n", workers, f"--basetemp={project.base}", "--resume-keep", "all", "-v")
    ended.assert_outcomes(passed=4)
    made = [
        file for file in project.base.rglob("reference-*/work/checkpoint.pt") if "resume-references" not in str(file)
    ]
    assert (len(made), project.num_runs()) == (2, 4)


@pytest.mark.parametrize(("words", "chosen"), [("step2", NAMES[2:]), ("step2 and rank1", NAMES[3:])])
def test_points_are_chosen_by_their_moments_and_ranks(project: Project, words: str, chosen: list[str]) -> None:
    """As pytest chooses any test by its name."""
    project.tests(POINTS)
    listed = project.collect("--collect-only", "-q", "-k", words).stdout.lines
    assert [line.partition("::")[2] for line in listed if "::" in line] == chosen


def test_a_job_that_forgets_its_sampler_fails_with_a_reason_that_can_be_read(project: Project) -> None:
    """Samples, place, evidence, the command that does it again and what the ranks printed; no dump of a verdict."""
    project.tests(POINTS, "forgetful")
    ended = project.run("-n", "2", f"--basetemp={project.base}", "--resume-sweep", "quick", "--resume-report", "pages")
    ended.assert_outcomes(failed=3)
    ended.stdout.re_match_lines_random(
        [
            r"E .*INVALID: rank 0 trained on different samples in batch \d of epoch 0",
            r"E .*it restarted epoch 0 from its first batch",
            r"E +expected +\d+",
            r"E +where: step \d, faulted/events/",
            r"E +to do: save the loader's place",
            r"E .*look again: resumable check .*",
            r"E .*repeat: resumable verify --nproc-per-node 2 .*--fault sigkill@step=1:rank=0 .*train.py forgetful",
            r"-+ resume faulted/logs/i000/rank0.out -+",
            r"saved",
            r"FAILED test_training.py::test_training_survives\[sigkill-step1-rank0\] - INV.*",
        ]
    )
    assert [text for text in ("Verdict(", "i000/rank0.err", "i000/rank1.err") if text in ended.stdout.str()] == []
    assert project.num_runs() == 3
    pages = sorted(path.name for path in (project.pytester.path / "pages").glob("*.html"))
    hit = ("1-rank0", "2-rank0", "2-rank1")
    assert [f"test_training.py-test_training_survives-sigkill-step{point}.html" for point in hit] == pages


def test_a_bare_assert_gives_the_reason_and_the_report(project: Project) -> None:
    """Who writes `assert verdict` sees as much."""
    project.tests(
        "def test_training(resume_rig):\n"
        "    verdict = resume_rig.verify('train.py', 'forgetful', faults='sigkill@step=2:rank=1')\n"
        "    assert verdict\n"
    )
    ended = project.run(f"--basetemp={project.base}", "--resume-keep", "none")
    ended.assert_outcomes(failed=1)
    ended.stdout.re_match_lines_random([r"E +assert <Verdict INVALID: rank_sequence: .*", r"-+ resume verdict -+"])
    assert project.num_runs() == 0


def test_a_mark_of_which_only_the_job_knows_the_points_is_one_test(project: Project) -> None:
    """As many as the job has steps, which the end of the output says; the kept directory is that of the sweep."""
    project.tests(POINTS.replace('at="1,2", ranks="each"', 'at="every:2", ranks="any"'))
    ended = project.run(f"--basetemp={project.base}", "-v", "--resume-keep", "all")
    ended.assert_outcomes(passed=1)
    ended.stdout.fnmatch_lines(
        [
            "*test_training_survives[[]every-2[]] PASSED*",
            "*test_training_survives[[]every-2[]]: one test for all points; each gets its own with at='every:2', steps=4",
        ]
    )
    [plan] = project.base.rglob("plan.json")
    points = sorted(path.name.partition("-rank")[0] for path in plan.parent.glob("sigkill-*"))
    assert points == ["sigkill-step0000", "sigkill-step0002"]


@pytest.mark.thorough
def test_a_number_of_steps_that_is_not_the_jobs_is_refused(project: Project) -> None:
    """Points that are counted from it would leave out a part of training, and nobody would notice."""
    project.tests(POINTS.replace('at="1,2", ranks="each"', 'at="every:3", ranks="any", steps=3'))
    ended = project.run(f"--basetemp={project.base}")
    ended.assert_outcomes(failed=1)
    ended.stdout.fnmatch_lines(["*UsageError: steps=3: the job makes 4 optimizer steps; write steps=4"])


def test_points_that_the_budget_has_no_time_for_are_skipped(project: Project) -> None:
    """And are said to be."""
    project.tests(POINTS)
    ended = project.collect("--resume-budget", "0.000001", "-rs")
    ended.assert_outcomes(skipped=4)
    ended.stdout.fnmatch_lines(["*--resume-budget 1e-06: the time is used up*"])


@pytest.mark.parametrize(
    ("mark", "words"),
    [
        ('at="evry:2"', "--at evry:2: expected all, every:N or a list"),
        ('at="1", kinds="sigkil"', "unknown kind 'sigkil'"),
        ('at="1", ranks="7"', "--ranks 7"),
        ('ranks="each"', "ranks='each': expected at= beside it"),
        ('at="resume+1"', "expected steps= beside it"),
        ('at="all", steps=0', "steps=0: expected the number of the job's optimizer steps"),
    ],
)
def test_a_mistyped_mark_names_what_is_wrong(project: Project, mark: str, words: str) -> None:
    """Without a traceback of ours."""
    project.tests(f"import pytest\n@pytest.mark.resume({mark})\ndef test_training(resume_rig):\n    pass\n")
    ended = project.collect()
    text = ended.stdout.str() + ended.stderr.str()
    assert (ended.ret != 0, words in text, "pytest_plugin.py" in text) == (True, True, False), text


def test_a_mistyped_option_of_the_launcher_gets_the_nearest_right_one(project: Project) -> None:
    """It is the launcher that refuses it."""
    project.tests("import pytest\n@pytest.mark.resume(nproc_per_nod=2)\ndef test_training(resume_rig):\n    pass\n")
    ended = project.run()
    ended.stdout.fnmatch_lines(["*nproc_per_nod: did you mean nproc_per_node[?]"])
    ended.stdout.no_fnmatch_line("*Traceback*")


def test_a_mark_whose_points_nobody_hits_is_no_success(project: Project) -> None:
    """A test that takes no rig, and one that does not use it; points of a module's mark are for those that take it."""
    mark = '@pytest.mark.resume(at="1", ranks="0")'
    project.tests(f"import pytest\n{mark}\ndef test_training():\n    pass\n")
    ended = project.collect()
    ended.assert_outcomes(errors=1)
    ended.stdout.fnmatch_lines(
        ["*test_training: @pytest.mark.resume names points, and the test takes no `resume_rig`*"]
    )
    project.tests(
        f"import pytest\n{mark}\nclass TestAll:\n    def test_other(self): pass\n    def test_it(self, resume_rig): pass\n"
    )
    ended = project.collect()
    ended.assert_outcomes(passed=2, errors=1)
    ended.stdout.fnmatch_lines(["*sigkill@step=1:rank=0: nothing was hit*"])


def test_what_a_test_asks_for_wrongly_is_shown_where_it_does(project: Project) -> None:
    """Nothing was interrupted otherwise; and not in ten frames of ours."""
    project.tests(
        """
def test_no_moment(resume_rig):
    resume_rig.verify("train.py")

def test_no_script(resume_rig):
    resume_rig.verify("nothing.py", faults="sigkill@step=1:rank=0")
"""
    )
    ended = project.run()
    ended.assert_outcomes(failed=2)
    ended.stdout.fnmatch_lines(
        ["*UsageError: expected faults= here, or at= in the mark*", "*Error: script 'nothing.py' does not exist"]
    )
    ended.stdout.no_fnmatch_line("*launch/*.py*")
