"""Log files of the ranks: a folder for every incarnation, which nothing deletes.

torch names the folder of a restart after the restart count of one agent and removes what it finds there.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from torch.distributed.elastic.multiprocessing import LogsDest, LogsSpecs, Std
from torch.distributed.elastic.multiprocessing.api import to_map

from resumable.launch.evidence.node_records import RoundStarted
from resumable.launch.evidence.run_dir import ScenarioDir
from resumable.launch.node.rendezvous import Round
from resumable.launch.system.environment import rank_variables


class IncarnationLogs(LogsSpecs):
    """Where each rank of an incarnation prints to, and the point at which a round is announced.

    Args:
        scenario_dir: Gets `logs/i<incarnation>/rank<rank>.{out,err}` and `.error.json`.
        round_: The round that the node is in.
        node_number: Number of the node at its supervisor.
        redirects: Streams that go only to the file.
        tee: Streams that go to the file and to the console.
        local_ranks_filter: Local ranks that may write to the console; None: all.
        announce: Called with the round before its ranks start.
        clock_ns: CLOCK_MONOTONIC.
    """

    def __init__(
        self,
        *,
        scenario_dir: ScenarioDir,
        round_: Round,
        node_number: int,
        redirects: Std | dict[int, Std],
        tee: Std | dict[int, Std],
        local_ranks_filter: set[int] | None,
        announce: Callable[[RoundStarted], None],
        clock_ns: Callable[[], int],
    ) -> None:
        super().__init__(str(scenario_dir.logs), redirects, tee, local_ranks_filter)
        self._scenario_dir = scenario_dir
        self._round = round_
        self._node_number = node_number
        self._announce = announce
        self._clock_ns = clock_ns
        self._to_file, self._to_both, self._shown = redirects, tee, local_ranks_filter

    @property
    def root_log_dir(self) -> str:
        """Folder of all incarnations."""
        return str(self._scenario_dir.logs)

    def reify(self, envs: dict[int, dict[str, str]]) -> LogsDest:
        """Name the files of this incarnation; adds our variables to each rank's environment, as torch adds its own here.

        Args:
            envs: Environment of every local rank.
        """
        incarnation = self._round.incarnation
        folder = self._scenario_dir.incarnation_logs(incarnation)
        folder.mkdir(parents=True, exist_ok=True)
        redirects, tees = to_map(self._to_file, len(envs)), to_map(self._to_both, len(envs))
        destination = LogsDest()
        for local_rank, env in envs.items():
            logs = self._scenario_dir.rank_logs(incarnation=incarnation, rank=int(env["RANK"]))
            output, errors = map(str, logs)
            to_file = redirects[local_rank] | tees[local_rank]
            shown = not self._shown or local_rank in self._shown
            destination.stdouts[local_rank] = _target(output, in_file=Std.OUT in to_file, shown=shown)
            destination.stderrs[local_rank] = _target(errors, in_file=Std.ERR in to_file, shown=shown)
            if shown and Std.OUT in tees[local_rank]:
                destination.tee_stdouts[local_rank] = output
            if shown and Std.ERR in tees[local_rank]:
                destination.tee_stderrs[local_rank] = errors
            error_file = str(self._scenario_dir.error_file(incarnation=incarnation, rank=int(env["RANK"])))
            destination.error_files[local_rank] = env["TORCHELASTIC_ERROR_FILE"] = error_file
            env.update(
                rank_variables(
                    scenario_dir=self._scenario_dir.root, incarnation=incarnation, node_number=self._node_number
                )
            )
        destination.filtered_stdout = str(folder / "filtered.out")
        destination.filtered_stderr = str(folder / "filtered.err")
        self._announce(self._round_started(list(envs.values())))
        return destination

    def _round_started(self, envs: list[dict[str, str]]) -> RoundStarted:
        first = envs[0]
        return RoundStarted(
            incarnation=self._round.incarnation,
            node=int(first["GROUP_RANK"]),
            num_nodes=int(first["GROUP_WORLD_SIZE"]),
            ranks=[int(env["RANK"]) for env in envs],
            world_size=int(first["WORLD_SIZE"]),
            time_ns=self._clock_ns(),
            time_unix=time.time(),
        )


def _target(file: str, *, in_file: bool, shown: bool) -> str:
    """torch's convention: a file, or "" for the console."""
    if in_file:
        return file
    return "" if shown else "/dev/null"
