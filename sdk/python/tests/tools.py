"""Programs that look at this package: mypy, griffe, twine and so on, which requirements-dev.txt pins."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parents[1]
LIMIT_SECONDS = 180
MYPY_CACHE = ("--cache-dir", str(HERE / ".mypy_cache"), "--python-version", "3.10")
"""What mypy found out about other packages when it looked at this one is not found out again."""


def dev_tool(module: str) -> None:
    """Go on only where this tool is. `./dev test sdk` has all of them, so there a missing one is a failure.

    `./dev sdk world` runs the unit tests on every Python with only what the package itself needs. What the tools say
    does not differ by that.
    """
    if importlib.util.find_spec(module) is None:
        if "WORLD_PYTHONS" in os.environ:
            pytest.skip(f"{module} looks at the package once, in ./dev test sdk, and not on each Python")
        raise AssertionError(f"{module} is missing: pip install -r requirements-dev.txt")


def run_tool(
    module: str | None, *arguments: str | Path, env: dict[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a module of this Python as a program, or a file of Python where ``module`` is ``None``."""
    words = [sys.executable, *(["-m", module] if module else []), *map(str, arguments)]
    given = os.environ | (env or {})
    return subprocess.run(words, capture_output=True, text=True, env=given, cwd=cwd, check=False, timeout=LIMIT_SECONDS)
