"""A rank alone: the script runs watched, as it would run unwatched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from resumable.launch.evidence.rank_records import (
    AnyRecord,
    Backward,
    Batch,
    Exit,
    FaultFired,
    Load,
    Rename,
    Save,
    State,
    Step,
    decode_line,
)
from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.plan.fault_grammar import parse_fault
from resumable.launch.plan.fault_model import resolve
from resumable.launch.plan.plan import Plan, Scenario, Script
from resumable.launch.plan.topology import Topology

pytestmark = pytest.mark.slow

IN_THE_BACKGROUND = ("sh", "-c", "trap '' INT; exec \"$@\"", "sh")
"""As a shell starts a command with `&`: SIGINT is ignored, and a new interpreter leaves it so."""
PRELUDE = """
import os, sys, torch
from torch.utils.data import DataLoader, TensorDataset
torch.manual_seed(0)
data = TensorDataset(torch.arange(6.0).reshape(6, 1))
model = torch.nn.Linear(1, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
"""
TRAIN = """
for (x,) in DataLoader(data, batch_size=2):
    model(x).sum().backward()
    optimizer.step()
"""


@dataclass(frozen=True, kw_only=True)
class Rank:
    """A rank that has ended."""

    exit_code: int
    output: str
    errors: str
    records: list[AnyRecord]
    folder: Path

    def kinds(self) -> list[str]:
        """What it did, in order; states are taken in between."""
        return [type(record).__name__ for record in self.records if not isinstance(record, State)]

    def of(self, record_type: type[AnyRecord]) -> list[AnyRecord]:
        return [record for record in self.records if isinstance(record, record_type)]


RunRank = Callable[..., Rank]


@pytest.fixture
def run_rank(tmp_path: Path) -> RunRank:
    """Run a script as rank 0 of 1; a second call is the next incarnation of the same scenario."""
    incarnations = iter(range(10))
    (tmp_path / "project").mkdir()

    def run(source: str, *arguments: str, fault: str | None = None, prefix: Sequence[str] = ()) -> Rank:
        script = tmp_path / "project" / "train.py"
        script.write_text(source)
        faults = resolve([parse_fault(fault)] if fault else [], world_size=1, seed=0)
        run_dir = RunDir(root=tmp_path)
        run_dir.write_plan(
            Plan(
                command="verify",
                script=Script(path=str(script), arguments=arguments),
                torchrun={},
                topology=Topology(),
                scenarios=(Scenario(name="faulted", faults=faults, nproc_per_start=(1,)),),
                seed=0,
            )
        )
        scenario_dir = run_dir.scenario("faulted")
        scenario_dir.create()
        incarnation = next(incarnations)
        rank = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "GROUP_RANK": "0"}
        ours = {
            "RESUMABLE_SCENARIO_DIR": str(scenario_dir.root),
            "RESUMABLE_INCARNATION": str(incarnation),
            "RESUMABLE_NODE_NUMBER": "0",
        }
        ended = subprocess.run(
            [*prefix, sys.executable, "-u", "-P", "-m", "resumable.launch.worker"],
            cwd=scenario_dir.work,
            env={**os.environ, **rank, **ours},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        [file] = [file for file in scenario_dir.event_files() if scenario_dir.incarnation_of(file) == incarnation]
        lines = file.read_bytes().splitlines(keepends=True)
        return Rank(
            exit_code=ended.returncode,
            output=ended.stdout,
            errors=ended.stderr,
            records=[decode_line(line) for line in lines],
            folder=tmp_path,
        )

    return run


def test_what_a_loop_does_is_recorded_in_its_order(run_rank: RunRank) -> None:
    """Batches, backward passes, steps and checkpoints stand in the order in which they happened."""
    ended = run_rank(
        PRELUDE
        + """
for (x,) in DataLoader(data, batch_size=2):
    model(x).sum().backward()
    if x[0] > 0:
        optimizer.step()
torch.save(model.state_dict(), "model.tmp")
os.replace("model.tmp", "model.pt")
torch.load("model.pt")
"""
    )
    assert (ended.exit_code, ended.errors) == (0, "")
    assert ended.kinds() == [
        *("Start", "Loader", "EpochBegin"),
        *("Batch", "Backward"),
        *("Batch", "Backward", "Step"),
        *("Batch", "Backward", "Step"),
        *("EpochEnd", "Save", "Save", "Rename", "Load", "Exit"),
    ]
    assert [record.indices for record in ended.of(Batch)] == [[0, 1], [2, 3], [4, 5]]
    work = ended.folder / "faulted" / "work"
    assert [record.path for record in ended.of(Save)] == [str(work / "model.tmp")] * 2
    assert [record.target for record in ended.of(Rename)] == [record.path for record in ended.of(Load)]
    assert [record.sequence for record in ended.records] == list(range(len(ended.records)))


def test_steps_carry_the_loss_and_the_state_of_the_parameters(run_rank: RunRank) -> None:
    """The losses are exact; the digest changes with every step, and the last one is the same as a whole digest's input."""
    ended = run_rank(
        PRELUDE
        + """
for (x,) in DataLoader(data, batch_size=2):
    loss = model(x).sum()
    loss.backward()
    optimizer.step()
    print(loss.item())
"""
    )
    assert [str(record.loss) for record in ended.of(Backward)] == ended.output.split()
    states = [record.before or record.after for record in ended.of(Step)] + [ended.of(Step)[0].after]
    assert len(set(states)) == 4
    assert [record.before is None for record in ended.of(Step)] == [False, True, True]


def test_the_first_step_after_a_save_says_what_training_went_on_from(run_rank: RunRank) -> None:
    """An average may have stood in the model while it was saved, or something may change the parameters after each step."""
    ended = run_rank(
        PRELUDE
        + """
for number, (x,) in enumerate(DataLoader(data, batch_size=2)):
    model(x).sum().backward()
    optimizer.step()
    with torch.no_grad():
        model.weight.clamp_(-0.1, 0.1)
    if number == 0:
        torch.save(model.state_dict(), "model.pt")
"""
    )
    [saved] = [record.quick["parameters"] for record in ended.of(State) if record.moment == "save"]
    first, second, third = ended.of(Step)
    assert (second.before, third.before) == (saved.whole + saved.part, None)
    assert saved.whole + saved.part != first.after


def test_a_step_without_a_backward_pass_is_none(run_rank: RunRank) -> None:
    """Optimizer state is sometimes made by a step that trains nothing; a second optimizer is part of the same step."""
    ended = run_rank(
        PRELUDE
        + """
optimizer.step()
second = torch.optim.SGD(model.parameters(), lr=0.1)
for (x,) in DataLoader(data, batch_size=3):
    model(x).sum().backward()
    optimizer.step()
    second.step()
"""
    )
    assert [record.step for record in ended.of(Step)] == [0, 0, 1, 1]


NESTED = """
class Outer(torch.optim.SGD):
    def step(self):
        inner.step()
        super().step()
inner = torch.optim.SGD(model.parameters(), lr=0.1)
optimizer = Outer(model.parameters(), lr=0.1)
"""
IN_HOOKS = """
each = [torch.optim.SGD([parameter], lr=0.1) for parameter in model.parameters()]
def step(parameter):
    for own in each:
        if own.param_groups[0]["params"][0] is parameter:
            own.step()
for parameter in model.parameters():
    parameter.register_post_accumulate_grad_hook(step)
class optimizer:
    step = staticmethod(lambda: None)
"""


@pytest.mark.parametrize("optimizers", [NESTED, IN_HOOKS])
def test_optimizers_that_step_together_make_one_step(run_rank: RunRank, optimizers: str) -> None:
    """One that another one steps, and those that step while gradients come; after the backward pass, with all done."""
    ended = run_rank(f"{PRELUDE}\n{optimizers}\n{TRAIN}")
    assert [kind for kind in ended.kinds() if kind in {"Batch", "Backward", "Step"}] == [
        "Batch",
        "Backward",
        "Step",
    ] * 3
    first, *others = ended.of(Step)
    assert [record.step for record in (first, *others)] == [0, 1, 2]
    assert first.before is not None
    assert len({first.before, first.after, *(record.after for record in others)}) == 4


ADAM = "optimizer = torch.optim.Adam(model.parameters())"
RESTORED = """
torch.autograd.backward(model(data.tensors[0]).sum())
optimizer.step()
state = optimizer.state_dict()
optimizer = torch.optim.Adam(model.parameters())
optimizer.load_state_dict(state)
"""


@pytest.mark.parametrize(
    ("optimizers", "expected"),
    [
        pytest.param("", [False, False, False], id="keeps no state"),
        pytest.param(ADAM, [True, False, False], id="new"),
        pytest.param(f"{ADAM}\n{RESTORED}", [True, False, False, False], id="restored"),
        pytest.param(NESTED.replace("lr=0.1", "lr=0.1, momentum=0.9"), [True, False, False], id="nested"),
        pytest.param(IN_HOOKS.replace("lr=0.1", "lr=0.1, momentum=0.9"), [True, False, False], id="in backward"),
    ],
)
def test_an_optimizer_without_state_is_new(run_rank: RunRank, optimizers: str, expected: list[bool]) -> None:
    """If it has some after the step."""
    ended = run_rank(f"{PRELUDE}\n{optimizers}\n{TRAIN}")
    assert [record.has_new_optimizer for record in ended.of(Step)] == expected


SCHEDULED = """
schedule = torch.optim.lr_scheduler
def with_schedule(scheduler, *metrics):
    optimizer.register_step_post_hook(lambda *_: scheduler.step(*metrics))
"""


@pytest.mark.parametrize(
    ("schedulers", "expected"),
    [
        pytest.param("", [None, None, None], id="none"),
        pytest.param("with_schedule(schedule.StepLR(optimizer, 1))", [0, 1, 2], id="one"),
        pytest.param("with_schedule(schedule.ReduceLROnPlateau(optimizer), 0.0)", [0, 1, 2], id="plateau"),
        pytest.param(
            """
parts = [schedule.ConstantLR(optimizer), schedule.StepLR(optimizer, 1)]
with_schedule(schedule.SequentialLR(optimizer, parts, milestones=[5]))
""",
            [0, 1, 2],
            id="sequence",
        ),
        pytest.param(
            """
state = schedule.StepLR(optimizer, 1).state_dict() | {"last_epoch": 7}
scheduler = schedule.StepLR(optimizer, 1)
scheduler.load_state_dict(state)
with_schedule(scheduler)
""",
            [7, 8, 9],
            id="restored",
        ),
    ],
)
def test_what_a_scheduler_has_counted_is_told(run_rank: RunRank, schedulers: str, expected: list[int | None]) -> None:
    """With each step, as it was while the optimizer made it."""
    ended = run_rank(f"{PRELUDE}\n{SCHEDULED}\n{schedulers}\n{TRAIN}")
    assert [record.scheduler_steps for record in ended.of(Step)] == expected


GROUPS = "[{'params': [model.weight]}, {'params': [model.bias], 'lr': 0.5}]"


@pytest.mark.parametrize(
    ("optimizers", "expected"),
    [
        pytest.param("", 0.1, id="one"),
        pytest.param(f"optimizer = torch.optim.SGD({GROUPS}, lr=0.25)", 0.5, id="groups"),
        pytest.param("optimizer = torch.optim.Adam(model.parameters(), lr=torch.tensor(0.25))", 0.25, id="tensor"),
    ],
)
def test_the_greatest_learning_rate_is_told(run_rank: RunRank, optimizers: str, expected: float) -> None:
    """A schedule that was lost shows in it, whoever made the schedule."""
    ended = run_rank(f"{PRELUDE}\n{optimizers}\n{TRAIN}")
    assert [record.learning_rate for record in ended.of(Step)] == [expected] * 3


def test_the_order_of_optimizers_is_no_state(run_rank: RunRank) -> None:
    """A job may make them in a different order after a restart, or one of them twice."""
    more = "\nextra = torch.optim.SGD([model.bias], lr=0.0)\n"
    before = [run_rank(f"{PRELUDE}{extra}{TRAIN}").of(Step)[0].before for extra in ("", more)]
    assert before[0] == before[1]


def test_a_fault_is_on_the_disk_before_it_acts_and_happens_once(run_rank: RunRank) -> None:
    """The killed rank's last line is the fault; the next incarnation passes the same step unharmed and counts on."""
    loop = (
        PRELUDE
        + """
if os.path.exists("state.pt"):
    model.load_state_dict(torch.load("state.pt"))
for (x,) in DataLoader(data, batch_size=2):
    model(x).sum().backward()
    optimizer.step()
    torch.save(model.state_dict(), "state.pt")
"""
    )
    killed = run_rank(loop, fault="sigkill@step=1:rank=0")
    again = run_rank(loop, fault="sigkill@step=1:rank=0")
    assert (killed.exit_code, killed.kinds()[-2:]) == (-9, ["Step", "FaultFired"])
    assert (again.exit_code, again.of(FaultFired)) == (0, [])
    assert [record.since_start.num_steps for record in again.of(Step)] == [2, 3, 4]


@pytest.mark.parametrize(
    ("fault", "num_steps"),
    [("sigkill@batch=2:rank=0", 2), ("sigkill@epoch=1,batch=1:rank=0", 4), ("sigkill@step=2:rank=0", 3)],
)
def test_a_fault_fires_at_its_moment(run_rank: RunRank, fault: str, num_steps: int) -> None:
    """Batches are counted when they are delivered, steps when they are done."""
    killed = run_rank(
        PRELUDE
        + """
loader = DataLoader(data, batch_size=2)
for _ in range(3):
    for (x,) in loader:
        model(x).sum().backward()
        optimizer.step()
""",
        fault=fault,
    )
    assert (killed.exit_code, len(killed.of(Step))) == (-9, num_steps)


def test_an_interrupt_reaches_a_rank_whose_launcher_runs_in_the_background(run_rank: RunRank) -> None:
    """It ends as one that was interrupted in the foreground."""
    loop = f"{PRELUDE}\nfor _ in DataLoader(data, batch_size=2):\n    pass\n"
    ended = run_rank(loop, fault="sigint@batch=0:rank=0", prefix=IN_THE_BACKGROUND)
    assert (ended.exit_code, ended.of(Exit)[0].message) == (-signal.SIGINT, "KeyboardInterrupt")
    assert ended.of(Exit)[0].code == 128 + signal.SIGINT


@pytest.mark.parametrize(("code", "seen"), [("-1", 255), ("300", 44), ("256", 0), ("True", 1)])
def test_an_exit_code_is_recorded_as_the_system_gives_it(run_rank: RunRank, code: str, seen: int) -> None:
    """A negative number is no signal."""
    ended = run_rank(f"import sys\nsys.exit({code})\n")
    assert (ended.exit_code, [record.code for record in ended.of(Exit)]) == (seen, [seen])


@pytest.mark.parametrize("end", ["", "sys.exit(0)", "raise ValueError"])
def test_threads_of_the_script_end_first_and_then_exit_handlers_run(run_rank: RunRank, end: str) -> None:
    """As in an interpreter of its own: what they save is saved, and is known."""
    last_save = "time.sleep(0.3); torch.save({}, 'last.pt'); sys.stdout.write('saved;')"
    ended = run_rank(
        f"""
import atexit, sys, threading, time, torch
from concurrent.futures import ThreadPoolExecutor
atexit.register(print, "handled")
def save():
    {last_save}
ThreadPoolExecutor().submit(save)
threading.Thread(target=save).start()
{end}
"""
    )
    assert ended.output == "saved;saved;handled\n"
    saves = [] if end.startswith("raise") else ["Save"] * 4
    assert ended.kinds() == ["Start", *saves, "Exit"]


@pytest.mark.parametrize(("code", "has_parameters"), [(0, True), (7, False)])
@pytest.mark.parametrize(
    "leave", ["os._exit({})", "thread = threading.Thread(target=os._exit, args=({},)); thread.start(); thread.join()"]
)
def test_a_script_that_leaves_at_once_is_recorded_once(
    run_rank: RunRank, leave: str, code: int, has_parameters: bool
) -> None:
    """In whichever thread; what it has forked may leave as it likes, and no exit handler runs."""
    fork = "if os.fork() == 0:\n    os._exit(3)\nos.wait()\natexit.register(print, 'never')"
    ended = run_rank(f"import atexit, os, threading\n{PRELUDE}\n{TRAIN}\n{fork}\n{leave.format(code)}\n")
    assert (ended.exit_code, ended.output) == (code, "")
    said = [(record.reason, record.code, record.parameters is not None) for record in ended.of(Exit)]
    assert said == [("system_exit", code, has_parameters)]


def test_a_script_whose_main_thread_stands_still_can_leave(run_rank: RunRank) -> None:
    """A fault lets nobody else write; a watchdog of the job's own is not held up by that for long."""
    watchdog = "threading.Timer(1.0, os._exit, args=(9,)).start()"
    ended = run_rank(f"import os, threading\n{PRELUDE}\n{watchdog}\n{TRAIN}\n", fault="hang@step=0:rank=0")
    assert (ended.exit_code, ended.of(Exit)) == (9, [])


def test_an_exit_code_comes_out_and_finally_blocks_run(run_rank: RunRank) -> None:
    """`exit(3)` leaves as `sys.exit(3)` in the script would."""
    ended = run_rank(
        PRELUDE
        + """
try:
    for (x,) in DataLoader(data, batch_size=2):
        pass
finally:
    print("cleaned up")
""",
        fault="exit(3)@batch=0:rank=0",
    )
    assert (ended.exit_code, ended.output) == (3, "cleaned up\n")
    assert [(record.reason, record.code) for record in ended.of(Exit)] == [("system_exit", 3)]


def test_an_exception_is_printed_once_and_begins_in_the_script(run_rank: RunRank) -> None:
    """The traceback is the interpreter's own, without our frames."""
    ended = run_rank("def broken():\n    raise ValueError('on purpose')\nbroken()\n")
    assert ended.exit_code == 1
    assert ended.errors.splitlines()[1].endswith('train.py", line 3, in <module>')
    assert (ended.errors.count("Traceback"), ended.errors.count("launch")) == (1, 0)
    assert [(record.reason, record.message) for record in ended.of(Exit)] == [("exception", "ValueError: on purpose")]


def test_the_script_finds_what_a_script_finds(run_rank: RunRank, tmp_path: Path) -> None:
    """Arguments, `__main__`, its own folder on the path, its own modules called `launch` and `samplers`, exit handlers."""
    (tmp_path / "project" / "launch.py").write_text("owner = 'user'\n")
    (tmp_path / "project" / "samplers.py").write_text("owner = 'user'\n")
    ended = run_rank(
        """
import atexit, os, sys
import launch, samplers
atexit.register(lambda: print("handler", __name__))
print(__name__, sys.modules["__main__"].__file__ == __file__, os.path.basename(sys.path[0]))
print(launch.owner, samplers.owner, sys.argv[1:] == ["--out=" + os.getcwd(), "x"])
""",
        "--out={run_dir}",
        "x",
    )
    assert ended.errors == ""
    assert ended.output.splitlines() == ["__main__ True project", "user user True", "handler __main__"]
