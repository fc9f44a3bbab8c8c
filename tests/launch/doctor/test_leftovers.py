import subprocess
import sys
import uuid

import pytest

from resumable.launch.doctor.finding import Status
from resumable.launch.doctor.leftovers import MAX_SHOWN, Tagged, judge_leftovers, leftovers
from resumable.launch.doctor.probe import Subject
from resumable.launch.system.environment import node_environment


def tagged(pid: int, tag: str = "a", *, is_node: bool = False) -> Tagged:
    return Tagged(pid=pid, tag=tag, is_node=is_node)


@pytest.mark.parametrize(
    ("processes", "expected"),
    [
        ([], Status.OK),
        ([tagged(1, is_node=True), tagged(2)], Status.OK),
        ([tagged(2)], Status.WARN),
        ([tagged(1, is_node=True), tagged(2), tagged(3, "b")], Status.WARN),
    ],
)
def test_what_outlived_its_node_is_a_leftover(processes, expected):
    """A job that runs now is none."""
    assert expected == judge_leftovers(processes).status


def test_the_mend_names_the_leftovers_alone():
    """A pid of a living job in it would end that job."""
    finding = judge_leftovers([tagged(1, is_node=True), tagged(2), tagged(7, "b"), tagged(3, "c")])
    assert finding.fix == "kill -9 3 7"


def test_many_leftovers_are_cut():
    """The table stays readable."""
    assert f"kill -9 {' '.join(map(str, range(MAX_SHOWN)))} ..." == judge_leftovers(list(map(tagged, range(50)))).fix


def test_a_real_leftover_is_found(tmp_path):
    """A process with the tag of a node that does not exist."""
    environment = node_environment(tag=uuid.uuid4().hex, nproc_per_node=1, one_machine=True)
    command = [sys.executable, "-c", "print('up', flush=True); input()"]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        finding = leftovers(Subject(nproc_per_node=2, run_dir=tmp_path))
        process.kill()
    assert (finding.status, "still run" in finding.meaning) == (Status.WARN, True)
