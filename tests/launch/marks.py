"""Marks of tests that need what may not be there."""

from __future__ import annotations

import pytest

from resumable.launch.system import zstandard

packs = pytest.mark.skipif(not zstandard.is_there(), reason="zstandard is missing: pip install backports.zstd")
