"""What the fork server imports, so that a rank finds it there: torch, and what DDP and the optimizers import late.

`torch._dynamo` alone takes a second or two in every rank that imports it itself.
"""

from __future__ import annotations

import launch.worker.entry  # noqa: F401
