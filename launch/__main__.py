"""`python -m resumable.launch` is the command `resumable`."""

import sys

from resumable.launch.cli.main import command

sys.exit(command())
