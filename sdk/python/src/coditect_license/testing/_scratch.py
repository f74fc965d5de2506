"""A directory of one test server, which is there from when something is put into it until the server is over."""

from __future__ import annotations

import json
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any


class ScratchDirectory:
    """For the root keys that programs in other processes read, and for the tokens that clients keep."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._removal: weakref.finalize[..., Any] | None = None

    @property
    def path(self) -> Path:
        """The directory. It is made when it is first asked for."""
        if self._path is None:
            self._path = Path(tempfile.mkdtemp(prefix="coditect-license-test-"))
            # Also where nobody says that the server is over.
            self._removal = weakref.finalize(self, shutil.rmtree, self._path, ignore_errors=True)
        return self._path

    def roots_file(self, roots: object) -> Path:
        """A file with these root keys."""
        file = self.path / "roots.json"
        if not file.exists():
            file.write_text(json.dumps(roots), "utf-8")
        return file

    def cache(self) -> Path:
        """Where clients keep their tokens."""
        return self.path / "cache"

    def remove(self) -> None:
        """Remove what there is. What is asked for later makes it anew."""
        if self._removal is not None:
            self._removal()
        self._path = self._removal = None
