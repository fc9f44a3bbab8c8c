import shlex

import pytest

from resumable.launch.plan.plan import Plan
from resumable.launch.plan.repeat_command import repeat_command
from tests.launch.plans import plan_of


def planned(words: list[str]) -> Plan:
    return plan_of(*words)


@pytest.mark.parametrize(
    "words",
    [
        ["verify"],
        ["verify", "--seed", "7", "--nproc-per-node", "4", "--fault", "sigkill@step=7:rank=any"],
        ["verify", "--nnodes", "2", "--fault", "exit(3)@epoch=1,batch=2:rank=0", "--start-method", "subprocess"],
        [
            "verify",
            "--restart",
            "job",
            "--nproc-per-node",
            "4",
            "--restart-nproc-per-node",
            "2",
            "-m",
            "json.tool",
            "a b",
        ],
        ["verify", "--preload", "json", "--monitor-interval", "0.5", "--no-python", "true", "$HOME", "{run_dir}"],
        ["verify", "--max-restarts", "3", "--grace", "2", "--hang-timeout", "9", "--fault", "hang@step=7:rank=0"],
        ["run", "--nproc-per-node", "2", "-m", "json.tool", "--record"],
    ],
)
def test_the_command_makes_the_same_plan_again(words):
    """What the shell hands over gives a plan that differs in nothing that was drawn or chosen."""
    plan = planned(words)
    command, *rest = shlex.split(repeat_command(plan, plan.scenarios[-1]))
    assert (command, plan) == ("resumable", planned(rest))


@pytest.mark.parametrize(
    "words",
    [["verify"], ["verify", "--fault", "hang@step=7:rank=0", "-m", "json.tool"], ["run", "-m", "json.tool"]],
)
def test_what_would_be_so_by_itself_is_left_out(words):
    """A command that one copies is as short as it can be."""
    command = repeat_command(planned(words), planned(words).scenarios[-1])
    assert [word for word in ("--max-restarts", "--grace", "--hang-timeout", "--seed") if word in command] == []
