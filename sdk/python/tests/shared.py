"""Files of the repository that are not this package's own, and that a source distribution brings along."""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
BROUGHT = HERE / "shared"


def shared(path: str) -> Path:
    """A file or folder by its path in the repository. In an unpacked source distribution it is below `shared`."""
    return BROUGHT / path if BROUGHT.exists() else HERE.parents[1] / path
