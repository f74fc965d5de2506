"""The lines that a part prints, and its exit code."""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

_failed: list[str] = []
_count = 0


@contextlib.contextmanager
def check(what: str) -> Iterator[None]:
    """One check, which is one line: what is promised, and whether it held. A part goes on after one that fails."""
    global _count
    _count += 1
    began = time.monotonic()
    try:
        yield
    except Exception as error:  # noqa: BLE001 - told below
        _failed.append(what)
        print(f"  FAILED {what} ({time.monotonic() - began:.1f} s): {error}", flush=True)
        if not isinstance(error, AssertionError) or not str(error):
            traceback.print_exc(file=sys.stdout)
    else:
        print(f"  ok     {what} ({time.monotonic() - began:.1f} s)", flush=True)


def finish() -> None:
    """End the part. One without a check has failed."""
    sys.exit(1 if _failed or not _count else 0)


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A folder for one check, gone afterwards."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        path = Path(name)
        path.chmod(0o755)
        yield path
