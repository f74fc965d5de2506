"""The command line in a home of its own, against the shipped double on a port of this machine."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coditect_license.testing import InMemoryServer, LoopbackServer

from . import forked
from .fake_server import ROOTS

PREFIX = "CODITECT_LICENSE_"


@dataclass
class World:
    """A server, a home, and the environment of the next command."""

    server: InMemoryServer
    loopback: LoopbackServer
    home: Path
    env: dict[str, str] = field(default_factory=dict)

    def set(self, **variables: str | None) -> None:
        """Settings of the client by their names; ``None`` takes one away."""
        for name, value in variables.items():
            if value is None:
                self.env.pop(PREFIX + name.upper(), None)
            else:
                self.env[PREFIX + name.upper()] = value

    def run(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return forked.run(words, self.env, stdin=stdin)

    def answer(self, *words: str) -> dict[str, Any]:
        """What a command answers in JSON, and its exit code as ``exit``."""
        done = self.run(*words)
        assert "Traceback" not in done.stderr, done.stderr
        return {**json.loads(done.stdout), "exit": done.returncode}

    @property
    def profile(self) -> Path | None:
        return next(self.home.rglob("profile.json"), None)


@contextmanager
def world_at(home: Path, **server: Any) -> Iterator[World]:
    """A world in which all is well and nobody has logged in: everything is in the environment."""
    home.mkdir(exist_ok=True)
    usual: dict[str, Any] = {"product": "studio", "seats": 3}
    memory = InMemoryServer(**(usual | server))
    memory.now = time.time
    roots = home / "roots.json"
    roots.write_text(json.dumps(ROOTS))
    # Unbuffered, nothing would be left for the last flush, which may fail.
    without = ("COLUMNS", "PYTHONUNBUFFERED")
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith((PREFIX, "XDG_")) and "proxy" not in name.lower() and name not in without
    }
    with memory.listen() as loopback:
        world = World(memory, loopback, home, clean)
        world.env |= {"HOME": str(home), "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}
        world.set(server=loopback.url, product="studio", key=memory.key, roots=str(roots))
        world.set(hardware_id="machine-0001", timeout="30", max_retries="0")
        yield world
