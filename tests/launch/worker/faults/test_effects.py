from __future__ import annotations

import errno
import os
import pickle
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from resumable.launch.plan.fault_grammar import parse_fault
from resumable.launch.plan.fault_model import PlannedFault, resolve
from resumable.launch.worker.faults.effects import (
    InjectedFaultError,
    await_condition,
    await_supervisor,
    damage,
    damageable_part,
    notice_of,
    perform,
)

PROGRAM = """
import signal, sys
from resumable.launch.plan.fault_model import PlannedFault, resolve
from resumable.launch.plan.fault_grammar import parse_fault
from resumable.launch.worker.faults.effects import perform
signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background inherits that it is ignored
{prelude}
perform(resolve([parse_fault(sys.argv[1])], world_size=1, seed=0)[0])
print("survived", flush=True)
{sequel}
"""
REMEMBER = "signal.signal(signal.SIGTERM, lambda *_: print('asked', flush=True))"
FOR_GOOD = "while True: signal.pause()"


def fault(text: str) -> PlannedFault:
    return resolve([parse_fault(text)], world_size=1, seed=0)[0]


def process(text: str, *, prelude: str = "", sequel: str = "") -> tuple[int, str]:
    """Exit code and output of a process that does this to itself."""
    source = PROGRAM.format(prelude=prelude, sequel=sequel)
    done = subprocess.run([sys.executable, "-c", source, text], capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("kind", "signum"),
    [
        ("sigkill", signal.SIGKILL),
        ("sigterm", signal.SIGTERM),
        ("sigint", signal.SIGINT),
        ("abort", signal.SIGABRT),
    ],
)
def test_a_process_dies_of_its_signal(kind: str, signum: signal.Signals) -> None:
    """Nothing after it runs."""
    assert process(f"{kind}@step=0:rank=0") == (-signum, "")


@pytest.mark.parametrize("kind", ["torn", "corrupt"])
def test_damage_is_followed_by_a_power_cut(kind: str) -> None:
    """The rank does not outlive its checkpoint."""
    assert process(f"{kind}@step=0:rank=0") == (-signal.SIGKILL, "")


def test_who_handles_sigterm_goes_on_until_the_grace_is_over() -> None:
    """First the notice, then SIGKILL."""
    asked = process("sigterm(grace=0.1)@step=0:rank=0", prelude=REMEMBER, sequel=FOR_GOOD)
    assert asked == (-signal.SIGKILL, "asked\nsurvived\n")


def test_who_ends_within_the_grace_ends_by_itself() -> None:
    """The grace is no death sentence."""
    asked = process("sigterm(grace=60)@step=0:rank=0", prelude=REMEMBER, sequel="sys.exit(5)")
    assert asked == (5, "asked\nsurvived\n")


def test_a_stopped_process_answers_nothing_until_it_is_killed() -> None:
    """It is there and does not run."""
    source = PROGRAM.format(prelude="", sequel="")
    with subprocess.Popen([sys.executable, "-c", source, "sigstop@step=0:rank=0"], stdout=subprocess.PIPE) as child:
        _, status = os.waitpid(child.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        child.kill()
        assert child.communicate()[0] == b""


def test_a_process_that_hangs_still_answers_signals() -> None:
    """Its main thread sleeps for good, so that only a handler runs."""
    prelude = "signal.signal(signal.SIGALRM, lambda *_: sys.exit(4)); signal.setitimer(signal.ITIMER_REAL, 0.1)"
    assert process("hang@step=0:rank=0", prelude=prelude) == (4, "")


def test_an_exception_names_the_fault() -> None:
    """Who reads the log sees that it was planned; who looks out for a damaged file does not take it for one."""
    with pytest.raises(InjectedFaultError, match=r"planned fault: exception@step=7:rank=0") as raised:
        perform(fault("exception@step=7:rank=0"))
    assert not isinstance(raised.value, RuntimeError | OSError)


def test_an_exception_can_go_where_nobody_knows_us() -> None:
    """As the built-in one that it is."""
    arrived = pickle.loads(pickle.dumps(InjectedFaultError("planned fault")))
    assert (type(arrived), arrived.args) == (Exception, ("planned fault",))


@pytest.mark.parametrize("code", [0, 3, 255])
def test_an_exit_has_its_code(code: int) -> None:
    """As `sys.exit` would leave."""
    with pytest.raises(SystemExit) as left:
        perform(fault(f"exit({code})@step=7:rank=0"))
    assert left.value.code == code


@pytest.mark.parametrize(("kind", "code"), [("diskfull", errno.ENOSPC), ("ioerror", errno.EIO)])
def test_an_error_of_the_disk_looks_like_the_systems_own(kind: str, code: int) -> None:
    """Number, text and file name are there."""
    with pytest.raises(OSError, match=os.strerror(code)) as raised:
        perform(fault(f"{kind}@save#0:rank=0"), path="latest.pt")
    assert (raised.value.errno, raised.value.filename) == (code, "latest.pt")


def test_a_loader_worker_is_dead_when_the_fault_is_done() -> None:
    """Its parent can still collect it."""
    with subprocess.Popen([sys.executable, "-S", "-c", "import signal; signal.pause()"]) as worker:
        perform(fault("loaderkill@step=7:rank=0"), loader_worker=worker.pid)
        assert worker.poll() == -signal.SIGKILL


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("torn", 50),
        ("torn(keep=0)", 0),
        ("torn(keep=0.25)", 25),
        ("torn(keep=1)", 1),
        ("torn(keep=7)", 7),
        ("torn(keep=1000)", 100),
    ],
)
def test_a_torn_file_keeps_its_beginning(tmp_path: Path, text: str, size_bytes: int) -> None:
    """Below 1 a fraction, from 1 on bytes; a file never grows."""
    data = bytes(range(100))
    file = tmp_path / "latest.pt"
    file.write_bytes(data)
    damage(fault(f"{text}@step=0:rank=0"), file)
    assert file.read_bytes() == data[:size_bytes]


@pytest.mark.parametrize("kind", ["torn", "corrupt"])
def test_a_hard_link_of_a_damaged_file_stays_whole(tmp_path: Path, kind: str) -> None:
    """It may be somebody else's."""
    data = bytes(range(100))
    (tmp_path / "pretrained.pt").write_bytes(data)
    (tmp_path / "latest.pt").hardlink_to(tmp_path / "pretrained.pt")
    damage(fault(f"{kind}@step=0:rank=0"), tmp_path / "latest.pt")
    assert (tmp_path / "pretrained.pt").read_bytes() == data
    assert (tmp_path / "latest.pt").read_bytes() != data
    assert {file.name for file in tmp_path.iterdir()} == {"latest.pt", "pretrained.pt"}


WHOLE = {"__0_0.distcp": 500, "__1_0.distcp": 200, "__1_1.distcp": 300, "__10_0.distcp": 400, ".metadata": 900}


@pytest.mark.parametrize(
    ("sizes", "rank", "name"),
    [
        pytest.param(WHOLE, 1, "__1_1.distcp", id="the largest of its own"),
        pytest.param(WHOLE, 2, "__0_0.distcp", id="of all, where it has none"),
        pytest.param({**WHOLE, "__2_0.distcp": 0}, 2, "__0_0.distcp", id="or has written nothing into it"),
        pytest.param({"__0_0.distcp": 5, "__0_1.distcp": 5}, 0, "__0_1.distcp", id="the last of equals"),
        pytest.param({"a.safetensors": 5, "__0.metadata": 9}, 0, "a.safetensors", id="by any name"),
        pytest.param({".metadata": 9}, 0, None, id="no data"),
        pytest.param({}, 0, None, id="empty"),
    ],
)
def test_of_a_folder_a_rank_spoils_its_own_data(
    tmp_path: Path, sizes: dict[str, int], rank: int, name: str | None
) -> None:
    """Never what calls the folder whole."""
    for file, size_bytes in sizes.items():
        (tmp_path / file).write_bytes(bytes(size_bytes))
    (tmp_path / "folder").mkdir()
    assert damageable_part(tmp_path, rank) == (tmp_path / name if name else None)


def test_a_file_is_spoilt_itself_and_one_that_is_gone_is_not(tmp_path: Path) -> None:
    """Whoever wrote it."""
    file = tmp_path / "latest.pt"
    assert damageable_part(file, 1) is None
    file.touch()
    assert damageable_part(file, 1) == file


@pytest.mark.parametrize("size_bytes", [1, 63, 64, 65, 1000])
def test_a_corrupt_file_has_its_length_and_other_bytes(tmp_path: Path, size_bytes: int) -> None:
    """Up to 64 of them in the middle, each changed."""
    data = bytes(number % 251 for number in range(size_bytes))
    file = tmp_path / "latest.pt"
    file.write_bytes(data)
    damage(fault("corrupt@step=0:rank=0"), file)
    changed = [number for number, (old, new) in enumerate(zip(data, file.read_bytes(), strict=True)) if old != new]
    begin = max(0, (size_bytes - 64) // 2)
    assert changed == list(range(begin, min(size_bytes, begin + 64)))


def test_who_stands_still_goes_on_as_soon_as_it_may() -> None:
    """A condition that is met is not waited for; one that is not is looked at again until it is, or the time is over."""
    looks = iter([True, False, False, True])
    slept: list[float] = []
    for _ in range(2):
        await_condition(lambda: next(looks), timeout_s=300, sleep=slept.append)
    await_condition(lambda: False, timeout_s=0, sleep=slept.append)
    assert (len(slept), list(looks)) == (2, [])


PREEMPTED = """
import signal, sys, threading, time
from pathlib import Path
from resumable.launch.worker.faults.effects import await_supervisor, notice_of
from tests.launch.worker.faults.test_effects import fault
{prelude}
done = Path(sys.argv[1])
def act():
    done.touch()
    time.sleep(1)  # an agent takes its time, in which a job that did not wait would train on
    print("notice", flush=True)
    signal.raise_signal(signal.SIGTERM)
with notice_of(fault("preempt(grace=5)@step=1:node=0")) as has_notice:
    threading.Thread(target=act, daemon=True).start()
    await_supervisor(done, has_notice)
print("went on", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("prelude", "code", "said"),
    [
        pytest.param("", -signal.SIGTERM, "notice\n", id="who ends of it"),
        pytest.param(
            "signal.signal(signal.SIGTERM, lambda *_: signal.alarm(1))",
            -signal.SIGALRM,
            "notice\nwent on\n",
            id="who handles it",
        ),
        pytest.param(
            "signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.alarm(5)",
            -signal.SIGALRM,
            "went on\nnotice\n",
            id="who ignores it",
        ),
    ],
)
def test_nothing_is_done_between_a_preemption_and_its_notice(
    tmp_path: Path, prelude: str, code: int, said: str
) -> None:
    """However long the agent takes to hand it on: what is lost after it is what was done when it came."""
    command = [sys.executable, "-c", PREEMPTED.format(prelude=prelude), str(tmp_path / "0.done")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, ended.stdout) == (code, said), ended.stderr


def test_a_notice_that_comes_before_anybody_waits_for_it_is_not_missed(tmp_path: Path) -> None:
    """The mark that makes the supervisor act is left first."""
    (tmp_path / "0.done").touch()
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    try:
        with notice_of(fault("preempt(grace=5)@step=1:node=0")) as has_notice:
            os.kill(os.getpid(), signal.SIGTERM)
            await_supervisor(tmp_path / "0.done", has_notice)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [signal.SIGTERM]


def test_who_else_is_told_of_signals_is_told_of_the_notice(tmp_path: Path) -> None:
    """As an event loop is."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    (tmp_path / "0.done").touch()
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    previous = signal.set_wakeup_fd(writer)
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()
    try:
        with notice_of(fault("preempt(grace=5)@step=1:node=0")) as has_notice:
            await_supervisor(tmp_path / "0.done", has_notice)
        assert signal.set_wakeup_fd(previous) == writer
    finally:
        signal.signal(signal.SIGTERM, before)
    assert os.read(reader, 10) == bytes([signal.SIGTERM])
    os.close(reader)
    os.close(writer)
