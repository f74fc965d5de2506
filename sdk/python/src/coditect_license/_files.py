"""Files that are for their owner alone and never half written."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from pathlib import Path


def lacks_descriptors(error: Exception) -> bool:
    """Whether a file could not be opened since this process, or the system, has too many open: it may be there."""
    return isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE)


def write_private(path: Path, text: str, *, replace: bool = True) -> None:
    """Write a file of mode 0600, whole or not at all; with ``replace=False`` a file that is there already stays.

    Raises :class:`OSError`; nothing is left behind then.
    """
    # mkstemp gives 0600 from the first moment, and a name in the same directory makes the rename atomic.
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            os.replace(name, path)  # noqa: PTH105 - beside its fellow os.link
            return
        try:
            os.link(name, path)  # refuses to replace, also when two processes race
        except FileExistsError:
            pass
        except OSError:
            os.replace(name, path)  # noqa: PTH105 - a file system without hard links
    finally:
        with contextlib.suppress(OSError):
            os.unlink(name)  # noqa: PTH108
