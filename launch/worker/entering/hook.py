"""The first stage, in every interpreter of a recorded job: it waits for torch, and a program without torch never feels it.

It is called from a `.pth` file, which Python runs at each start, or from a `sitecustomize` module. Agents, launchers and
loader workers come by here as well as ranks: which of them this process is shows later.
"""

from __future__ import annotations

import functools
import sys


@functools.cache
def enter() -> None:
    """Record this process from the moment when it imports torch, if its environment asks for it. Twice is once.

    Whatever goes wrong is said, and never ends or changes the program.
    """
    try:
        from resumable.launch.system.environment import recording  # noqa: PLC0415 - nothing before it is asked for

        wanted = recording()
        if wanted is None:
            return
        import wrapt  # noqa: PLC0415

        def awake(_torch: object) -> None:
            try:
                from resumable.launch.worker.entering.process import RecordedProcess  # noqa: PLC0415

                RecordedProcess(wanted).install()
            except Exception as error:  # a program that only imports torch must not suffer
                _complain(error)

        wrapt.register_post_import_hook(awake, "torch")
    except Exception as error:  # the interpreter may be one in which what the recorder needs is not installed
        _complain(error)


def _complain(error: Exception) -> None:
    print(f"resumable: this process is not recorded: {type(error).__name__}: {error}", file=sys.stderr)
