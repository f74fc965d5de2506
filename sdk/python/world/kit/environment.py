"""The Python environments of the parts: one with the programs they run, and one of each promised Python.

They are kept outside the clone, in ${XDG_CACHE_HOME:-~/.cache}/coditect-license-server, each in a folder named by what
it is made from. One whose making was killed is made again; a second run at the same time waits for the first.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from . import pythons

WORLD = Path(__file__).resolve().parents[1]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "coditect-license-server"
PROGRAMS = WORLD / "requirements.txt"
UNIT_TESTS = WORLD / "requirements-tests.txt"


def environment(python: str, requirements: Path) -> Path:
    """The Python of an environment with these requirements, made now if it is not there."""
    whose = pythons.output(python, "-I", "-c", "import sys; print(sys.version, sys.prefix)")
    made_from = requirements.read_bytes() + whose.encode() + Path(__file__).read_bytes()
    folder = CACHE / f"sdk-world-{hashlib.sha256(made_from).hexdigest()[:16]}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "ready").exists():
            make(folder, python, requirements)
    return folder / "bin/python"


def make(folder: Path, python: str, requirements: Path) -> None:
    """Make one. Ends this process with what pip said if it cannot be made."""
    began = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    pip = [folder / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for command in ([python, "-m", "venv", folder], [*pip, "-r", requirements]):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"{done.stdout}\n{requirements.name} could not be installed for {python}.")
    (folder / "ready").touch()
    took = time.monotonic() - began
    print(f"made the environment of {requirements.name} for {python} in {took:.0f} s (once)", flush=True)


def program_python(found: dict[str, str]) -> str:
    """The Python whose environment has the programs: the one that people start, if it is one of those promised."""
    mine = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if not found:
        sys.exit(f"There is no Python of {', '.join(pythons.PROMISED)} on this machine that can make environments.")
    return found.get(mine) or found[max(found, key=lambda version: int(version.split(".")[1]))]
