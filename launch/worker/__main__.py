"""`python -m launch.worker`: a rank as a plain child of the agent (`--start-method subprocess`)."""

import os
import sys
import threading

from launch.worker.entry import run_rank

code = 0
try:
    run_rank()
except SystemExit as exit_:
    code = exit_.code if isinstance(exit_.code, int) else 1
except Exception:  # already printed, as the interpreter would have done
    code = 1
threading._shutdown()  # type: ignore[attr-defined]
for stream in (sys.stdout, sys.stderr):
    stream.flush()
# Not through the interpreter's own end: threads of torch that still run there can abort the process (exit code -6) after
# its training is done. The exit handlers have run.
os._exit(code)
