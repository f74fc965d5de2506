"""Results of tests that are made of files and of nothing else, kept outside the clone by the content of these files.

Whoever keeps a result gives its test a place that has these files and no other (`Inputs.copied`): what was left out of
the sum cannot be read, so the test fails instead of being passed over. Only what passed is kept, for a week.
`./dev cloud test --fresh` (CLOUD_TESTS_FRESH=1) reads no result and keeps those that it gets.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import time
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "coditect-license-server"
DAYS = 7
# A path in HCL that begins at the file's own folder, or at the root's.
PATH = re.compile(r'"(?:\$\{path\.(?:module|root)\}/)?(\.\.?/[^"$]+)"|"\$\{path\.(?:module|root)\}/([^"$]+)"')
CODE = (".tf", ".hcl")


class Inputs:
    """The files below `top` that a root or module is made of: its own, and what it or its tests name by a path."""

    def __init__(self, top: Path, folder: Path, more=()):
        self.top, self.folder = top.resolve(), folder.resolve()
        self.files: set[Path] = set()
        waiting = [self.folder, *(path.resolve() for path in more)]
        while waiting:
            for path in self._all_of(waiting.pop()) - self.files:
                self.files.add(path)
                waiting += self._named_in(path)

    @staticmethod
    def _all_of(path: Path) -> set[Path]:
        """Pages are for people: no test reads one."""
        found = [path] if path.is_file() else path.rglob("*")
        return {one for one in found if one.is_file() and one.suffix != ".md" and ".terraform" not in one.parts}

    def _named_in(self, file: Path) -> list[Path]:
        if file.suffix not in CODE:
            return []
        # A test names files from the root that it tests.
        root = file.parent.parent if file.parent.name == "tests" else file.parent
        named = [first or second for first, second in PATH.findall(file.read_text("utf-8"))]
        paths = {(place / name).resolve() for name in named for place in (file.parent, root)}
        return [path for path in paths if path.exists() and self.top in path.parents]

    def copied(self, place: Path) -> tuple[Path, Path]:
        """A copy that has nothing else: its top and the folder in it."""
        for path in self.files:
            target = place / path.relative_to(self.top)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
        return place, place / self.folder.relative_to(self.top)

    def content(self) -> list:
        return [(str(path.relative_to(self.top)), path.read_bytes()) for path in sorted(self.files)]


def summed(*values) -> str:
    """Of values that print what they are."""
    return hashlib.sha256(repr(values).encode()).hexdigest()


def programs(*paths: Path) -> list:
    """What tells a program, or a folder of them, from another one: it was made from what its folder's name says."""
    files = sorted(file for path in paths for file in ([path] if path.is_file() else path.rglob("*")))
    shown = ((file.resolve(), file.stat()) for file in files if file.is_file())
    return [(str(file), found.st_size, found.st_mtime_ns) for file, found in shown]


def _place(name: str, key: str) -> Path:
    return CACHE / "cloud-kept" / f"{name}-{key[:32]}.json"


def read(name: str, key: str) -> dict | None:
    """The result that is kept under this sum."""
    if os.environ.get("CLOUD_TESTS_FRESH"):
        return None
    try:
        found = json.loads(_place(name, key).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    fresh = found.get("key") == key and 0 <= time.time() - found["time"] < DAYS * 86400
    return found["result"] if fresh else None


def keep(name: str, key: str, result: dict):
    path = _place(name, key)
    path.parent.mkdir(parents=True, exist_ok=True)
    for old in path.parent.glob("*"):
        # Whoever keeps another one at this moment renames it.
        with contextlib.suppress(FileNotFoundError):
            if time.time() - old.stat().st_mtime > DAYS * 86400:
                old.unlink()
    part = path.with_suffix(f".{os.getpid()}")
    part.write_text(json.dumps({"key": key, "time": time.time(), "result": result}))
    part.replace(path)
