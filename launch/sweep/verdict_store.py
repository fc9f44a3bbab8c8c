"""The verdicts of a sweep as they lie in its run directory: what is done, and what is still to do."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterable
from functools import cache

import msgspec

from resumable.launch.evidence.kept_work import forget_work
from resumable.launch.evidence.run_dir import RunDir
from resumable.launch.judge.verdict import VERDICT_VERSION, Verdict, write_verdict
from resumable.launch.plan.plan import Scenario
from resumable.launch.system.safe_io import decoded, leads_out, read_whole


class VerdictStore:
    """One `verdict.json` in the folder of every scenario that was run to its end.

    A scenario without one is still to do, whatever lies in its folder: it was interrupted.

    Args:
        run_dir: Of the sweep.
    """

    def __init__(self, run_dir: RunDir) -> None:
        self._run_dir = run_dir

    def is_done(self, scenario: Scenario) -> bool:
        """Whether the scenario was run to its end and judged, by whatever version."""
        return self._folder(scenario).verdict_file.exists()

    def find(self, scenario: Scenario) -> Verdict | None:
        """The verdict on a scenario; None if there is none that this version can read."""
        try:
            verdict = decoded(_decoder().decode, read_whole(self._folder(scenario).verdict_file))
        except (OSError, msgspec.DecodeError):
            return None
        return verdict if verdict.version == VERDICT_VERSION else None

    def found(self, scenarios: Iterable[Scenario]) -> dict[str, Verdict]:
        """The verdicts that there are on these scenarios, by name."""
        verdicts = {scenario.name: self.find(scenario) for scenario in scenarios}
        return {name: verdict for name, verdict in verdicts.items() if verdict is not None}

    def enter(self, scenario: Scenario, verdict: Verdict) -> None:
        """Store a verdict.

        Raises:
            OSError: it cannot be written, or the scenario's folder is a link that leads out of the run directory.
        """
        folder = self._folder(scenario)
        if leads_out(folder.root, self._run_dir.root):
            raise OSError(errno.ELOOP, "a link that leads out of the run directory", str(folder.root))
        folder.root.mkdir(exist_ok=True)  # a point of a chain has no evidence of its own
        write_verdict(verdict, folder)

    def clear(self, scenario: Scenario) -> None:
        """Remove what an interrupted run of the scenario left."""
        folder = self._run_dir.scenario(scenario.name).root
        if folder.exists():
            shutil.rmtree(folder)

    def remove_work(self, scenario: Scenario) -> None:
        """Remove the working directory of a scenario, checkpoints and all; its evidence stays."""
        folder = self._run_dir.scenario(scenario.works_in)
        shutil.rmtree(folder.work, ignore_errors=True)
        forget_work(folder)

    def _folder(self, scenario: Scenario) -> RunDir:
        return RunDir(root=self._run_dir.scenario(scenario.name).root)


@cache
def _decoder() -> msgspec.json.Decoder[Verdict]:
    """All that a verdict can say takes as long to compile as the whole package to import; few commands read one."""
    return msgspec.json.Decoder(Verdict)
