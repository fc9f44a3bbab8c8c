"""A job of two ranks of which one dies, once: what the doctor restarts.

The folder that is its argument tells how far it came: `killed` when rank 1 dies, `finished` when rank 0 ends well.
"""

from __future__ import annotations

import os
import signal
import sys
from datetime import timedelta
from pathlib import Path

KILLED = "killed"
FINISHED = "finished"

_GLOO_TIMEOUT = timedelta(seconds=8)


def main() -> None:
    """Meet, lose rank 1 the first time, meet again."""
    import torch  # noqa: PLC0415 - the doctor reads the names above without it
    from torch import distributed  # noqa: PLC0415 - likewise

    marks = Path(sys.argv[1])
    distributed.init_process_group("gloo", timeout=_GLOO_TIMEOUT)
    distributed.all_reduce(torch.ones(1))
    if distributed.get_rank() == 1 and not (marks / KILLED).exists():
        (marks / KILLED).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    distributed.all_reduce(torch.ones(1))
    if distributed.get_rank() == 0:
        (marks / FINISHED).touch()
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
