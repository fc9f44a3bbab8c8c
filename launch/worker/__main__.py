"""`python -m resumable.launch.worker`: a rank as a plain child of the agent (`--start-method subprocess`)."""

import sys

from resumable.launch.worker.entry import run_rank
from resumable.launch.worker.exit import leave

code = 0
try:
    run_rank()
except SystemExit as exit_:
    code = exit_.code if isinstance(exit_.code, int) else 1
    if isinstance(exit_.code, str):
        print(exit_.code, file=sys.stderr)
except Exception:  # already printed, as the interpreter would have done
    code = 1
leave(code)
