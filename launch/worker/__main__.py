"""`python -m launch.worker`: a rank as a plain child of the agent (`--start-method subprocess`)."""

from launch.worker.entry import run_rank

run_rank()
