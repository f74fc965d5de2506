"""A fresh clone in which the pages' blocks run as they stand, with what cargo would build already built.

Only two things are not as printed. `cargo` of a clone hands over the programs that are built, since the first build is no part of what
a page promises. And where port 8080 is taken on this machine, every block is told another one, the same everywhere.
"""

import contextlib
import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("LICENSE_LOCAL", ROOT / "target/debug/license-local")).resolve()
PRINTED_PORT = 8080
SERVICES = 9
"""How many ports follow one another from the first one on: all functions, each function, and the issuer."""
PATIENCE = 300

CARGO = """#!/bin/sh
# Stands before cargo in the tests of pages: what is built is handed over.
case "$1" in
  build) mkdir -p target/debug && for program in "$BUILT"/*; do
      if [ -f "$program" ] && [ -x "$program" ]; then ln -sf "$program" target/debug/; fi
    done ;;
  metadata) echo '{}' ;;
  *) exec "$REAL_CARGO" "$@" ;;
esac
"""


class Lines:
    """What a process writes, line by line, with the time at which each line came."""

    def __init__(self, stream) -> None:
        self.all: list[str] = []
        self._queue: queue.SimpleQueue[tuple[float, str] | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    def _read(self, stream) -> None:
        for line in stream:
            self._queue.put((time.monotonic(), line.rstrip("\n")))
        self._queue.put(None)

    def until(self, words: str, patience: float = PATIENCE) -> float:
        """When a line with these words came. AssertionError, with all that was said, if none does."""
        end = time.monotonic() + patience
        while True:
            try:
                got = self._queue.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                got = None
            if got is None:
                raise AssertionError(f"{words!r} was never written:\n" + "\n".join(self.all))
            self.all.append(got[1])
            if words in got[1]:
                return got[0]


class Clone:
    """The files of this repository in a directory of their own, and the server that runs there."""

    def __init__(self) -> None:
        # Open to others: under root the stores run as an account of their own, which must reach its data.
        self.base = Path(tempfile.mkdtemp(prefix="license-page-"))
        self.base.chmod(0o755)
        self.path = self.base / "license-server"
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
        ).stdout
        for name in filter(None, listed.decode().split("\0")):
            if (ROOT / name).exists():
                (self.path / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.path / name, follow_symlinks=False)
        (self.base / "bin").mkdir()
        (self.base / "bin/cargo").write_text(CARGO)
        (self.base / "bin/cargo").chmod(0o755)
        self.server: subprocess.Popen | None = None
        self.printed: Lines | None = None
        self.port = free_port(PRINTED_PORT)

    def environment(self) -> dict[str, str]:
        """This machine's, without what would have the blocks find another server, and with a person's files elsewhere."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("CODITECT_", "VIRTUAL_ENV", "PYTHONPATH"))}
        pip = subprocess.run(["python3", "-m", "pip", "cache", "dir"], capture_output=True, text=True, check=False).stdout.strip()
        return {
            **kept,
            "PATH": f"{self.base / 'bin'}:{kept['PATH']}",
            "BUILT": str(BINARY.parent),
            "REAL_CARGO": shutil.which("cargo") or "cargo",
            "XDG_CONFIG_HOME": str(self.base / "config"),
            "XDG_CACHE_HOME": str(self.base / "cache"),
            "XDG_DATA_HOME": str(self.base / "data"),
            **({"PIP_CACHE_DIR": pip} if pip else {}),
        }

    def as_printed(self, block: str) -> str:
        """The block, with the ports that are free here."""
        for place in range(SERVICES):
            block = block.replace(f"127.0.0.1:{PRINTED_PORT + place}", f"127.0.0.1:{self.port + place}")
        return block if self.port == PRINTED_PORT else block.replace("./dev run", f"./dev run --port {self.port}")

    def shell(self, text: str) -> subprocess.Popen:
        """A shell that runs lines as a person's does, but stops at the first that fails."""
        return subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", self.as_printed(text)],
            cwd=self.path,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, text: str) -> str:
        """What the lines print. AssertionError with it if one of them fails."""
        process = self.shell(text)
        try:
            out, _ = process.communicate(timeout=PATIENCE)
        finally:
            end(process)
        if process.returncode != 0:
            raise AssertionError(f"exit status {process.returncode} of\n{self.as_printed(text)}\n{out}")
        return out

    def serve(self, block: str = "./dev run\n") -> float:
        """Run the block that starts the server, and wait until it says that it runs. When that was."""
        self.server = self.shell(block)
        self.printed = Lines(self.server.stdout)
        self.printed.until("license-local is running")
        at = self.printed.until("/release ")
        endpoints = json.loads((self.path / ".local/endpoints.json").read_text())
        # The blocks name these two.
        for name, place in (("front", 0), ("issuer", 1)):
            if endpoints[name] != f"http://127.0.0.1:{self.port + place}":
                raise AssertionError(f"another program took a port meanwhile: {endpoints}")
        return at

    def stop(self) -> None:
        """Ctrl-C."""
        if self.server is not None:
            end(self.server)
            self.server.stdout.close()
            self.server = None

    def remove(self) -> None:
        """The server is stopped, and nothing is left."""
        self.stop()
        # A page's lines that failed half way may have left the PostgreSQL that they started.
        for left in self.base.rglob("postmaster.pid"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(left.read_text().splitlines()[0]), signal.SIGQUIT)
        shutil.rmtree(self.base)


def end(process: subprocess.Popen) -> None:
    """End a shell with what it started, and wait."""
    for signal_ in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        try:
            os.killpg(process.pid, signal_)
            process.wait(30)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def free_port(wished: int) -> int:
    """The first of as many ports as are needed that are all free: the wished one, else one far from it."""
    for first in [wished, *range(20080, 30000, 40)]:
        try:
            for port in range(first, first + SERVICES):
                with socket.socket() as one:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    one.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise AssertionError("no eight free ports in a row")
