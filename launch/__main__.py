"""`python -m launch` is the command `resumable`."""

import sys

from launch.cli import main

sys.exit(main())
