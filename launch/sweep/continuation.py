"""Puts in place what a chain goes on from: the evidence of the lives before, and the working directory as they left it."""

from __future__ import annotations

import shutil
from functools import partial
from itertools import takewhile

from resumable.launch.evidence.kept_work import put_back
from resumable.launch.evidence.node_records import RoundStarted, decode_node_line
from resumable.launch.evidence.recorded_text import RecordedText, texts_in
from resumable.launch.evidence.run_dir import RunDir, ScenarioDir
from resumable.launch.plan.plan import Scenario


def prepare(chain: Scenario, broken: Scenario, run_dir: RunDir) -> bool:
    """Make ready for a chain that goes on where another was; False if it cannot.

    Args:
        chain: It goes on; nothing of it is there yet.
        broken: The other, which nobody runs any more.
        run_dir: Of both.
    """
    source, target, first = run_dir.scenario(broken.name), run_dir.scenario(chain.name), chain.first_incarnation
    if not put_back(run_dir.scenario(chain.works_in), first):
        return False
    target.create()
    for file in source.events.iterdir():
        if ScenarioDir.incarnation_of(file) < first:
            shutil.copy2(file, target.events)
    for incarnation in range(first):
        shutil.copytree(source.incarnation_logs(incarnation), target.incarnation_logs(incarnation))
    for text in texts_in(source.nodes, "node-*"):
        lines = takewhile(partial(_is_before, first), RecordedText(text).lines())
        (target.nodes / text.name).write_bytes(b"".join(lines))
    num_faults = sum(link.num_faults for link in chain.links[:first])
    for number in range(num_faults):
        shutil.copy2(source.fired / str(number), target.fired)
    return True


def _is_before(incarnation: int, line: bytes) -> bool:
    """Whether a node wrote this before it announced an incarnation."""
    record = decode_node_line(line)
    return not isinstance(record, RoundStarted) or record.incarnation < incarnation
