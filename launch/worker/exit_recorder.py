"""How a script ended, as the last line of its process says it."""

from __future__ import annotations

from collections.abc import Callable

from resumable.launch.evidence.rank_records import Exit, ExitReason
from resumable.launch.worker.error_facts import bounded, error_facts
from resumable.launch.worker.recorder import Recorder

FinalState = Callable[[], str | None]
_PATIENCE_S = 1.0
"""How long a script that leaves at once may be kept."""


class ExitRecorder:
    """How the script ended; what is recorded first counts."""

    def __init__(self, recorder: Recorder, final_state: FinalState) -> None:
        self._recorder = recorder
        self._final_state = final_state
        self._is_recorded = False

    def record(self, reason: ExitReason, code: int = 0, message: str = "", error: BaseException | None = None) -> None:
        """Record it, with the parameters if it ended well."""
        if not self._is_recorded:
            self._is_recorded = True
            parameters = self._final_state() if code == 0 else None
            facts = None if error is None else error_facts(error)
            self._recorder.emit(
                Exit, reason=reason, code=code, message=bounded(message), error=facts, parameters=parameters
            )
            self._recorder.close()

    def record_abrupt(self, status: int) -> None:
        """The script leaves by `os._exit`, perhaps because its main thread stands still."""
        if self._recorder.is_active:
            with self._recorder.alone_within(_PATIENCE_S) as is_alone:
                if is_alone:
                    self.record("system_exit", status & 0xFF)
