"""`python -m launch.worker`: a rank as a plain child of the agent (`--start-method subprocess`)."""

import sys

from launch.worker.entry import run_rank

try:
    run_rank()
except Exception:  # already printed, as the interpreter would have done
    sys.exit(1)
