"""The directory in which a job began: what lies below it is the job's own."""

from __future__ import annotations

import tempfile
from pathlib import Path


class JobFolder:
    """The working directory as it is now, without temporary files that lie below it too."""

    def __init__(self) -> None:
        self._folder = Path.cwd()
        temporary = Path(tempfile.gettempdir())
        self._elsewhere = temporary if temporary.is_relative_to(self._folder) else None

    def has(self, path: Path) -> bool:
        """Whether a file or folder lies there."""
        is_elsewhere = self._elsewhere is not None and path.is_relative_to(self._elsewhere)
        return path.is_relative_to(self._folder) and not is_elsewhere
