"""The Pythons that this package promises to run on, and where this machine has them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PROMISED = ("3.10", "3.11", "3.12", "3.13")
# A Python without these makes no environment of its own, as that of Debian without python3-venv.
PROBE = "import sys, ssl, venv, ensurepip; print(sys.implementation.name, '%d.%d' % sys.version_info[:2], sys.prefix)"


def candidates(version: str) -> Iterator[str]:
    """Paths at which a Python of this version may be: this one, on PATH, of pyenv, of uv."""
    yield sys.executable
    for folder in os.get_exec_path():
        if (path := Path(folder) / f"python{version}").exists():
            yield str(path)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from map(str, sorted(pyenv.glob(f"versions/{version}.*/bin/python{version}"), reverse=True))
    if uv := shutil.which("uv"):
        asked = [uv, "python", "find", "--offline", "--no-python-downloads", version]
        if path := output(*asked):
            yield path


def output(*command: str) -> str:
    """What a command prints; nothing where it fails or does not end."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def find(version: str) -> str | None:
    """A CPython of this version that can make environments. The shims of pyenv are there for versions that are not."""
    for path in candidates(version):
        if output(path, "-I", "-c", PROBE).startswith(f"cpython {version} "):
            return path
    return None


def find_all() -> dict[str, str]:
    """Version → path of those that are here."""
    return {version: path for version in PROMISED if (path := find(version))}


def in_words(found: dict[str, str] | set[str], ran: list[str]) -> str:
    """The last line of a run: which Pythons this machine lacks, and on which of them the unit tests ran."""
    if lacking := [version for version in PROMISED if version not in found]:
        return f"This machine lacks Python {', '.join(lacking)}: nothing was run there."
    where = "all of them" if set(ran) == set(PROMISED) else f"{', '.join(ran)} alone" if ran else "none of them"
    return f"This machine has every Python from {PROMISED[0]} to {PROMISED[-1]}: the unit tests ran on {where}."
