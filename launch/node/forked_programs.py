"""Programs that are forks of a process which has imported all that they need, in the place of new interpreters."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Sequence
from typing import NoReturn

from resumable.launch.system.descriptors import close_all_but


def forked(code: str, descriptors: Sequence[int], in_child: Callable[[], object]) -> int:
    """Fork this process for a program; returns its pid.

    Args:
        code: What an interpreter would be given.
        descriptors: That it needs; it has no others but the standard streams.
        in_child: Called there first.
    """
    pid = os.fork()
    if pid == 0:
        in_child()
        be_program(lambda: exec(code, {"__name__": "__main__"}), descriptors)
    return pid


def be_program(main: Callable[[], object], descriptors: Sequence[int]) -> NoReturn:
    """Be nothing any more but this function, with these descriptors and the standard streams, and end when it ends."""
    exit_code = 1
    try:
        close_all_but(descriptors)
        main()
        exit_code = 0
    except SystemExit:
        exit_code = 0
    except BaseException:  # nothing goes on here as what this process was before
        traceback.print_exc()
    os._exit(exit_code)
