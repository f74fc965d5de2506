"""A run of the real services on this machine: what was asked of them, and every line they wrote of it.

`license-local` serves all functions; two of them are started beside it with faults in their environment. The binaries
are taken from where LICENSE_LOCAL says, or are built.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import pathlib
import shlex
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

ROOT = pathlib.Path(__file__).resolve().parents[3]
PROJECT = "licenses-prod"
SECONDS_TO_START = 120
# What the Python client calls itself, for requests as long as its own.
CLIENT = "coditect-license-client/0.1.0 python/3.11.7"


@dataclass
class Asked:
    """One request, its answer, and the bytes that went over the wire for both."""

    method: str
    path: str
    status: int
    answer: dict[str, Any]
    bytes_in: int
    bytes_out: int

    @property
    def code(self) -> str | None:
        return self.answer.get("code") if self.status >= 400 else None


@dataclass
class Run:
    asked: list[Asked] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


def binary() -> pathlib.Path:
    """license-local, whose siblings are the functions."""
    if given := os.environ.get("LICENSE_LOCAL"):
        return pathlib.Path(given)
    subprocess.run(["cargo", "build", "--bins"], cwd=ROOT, check=True)
    told = subprocess.run(["cargo", "metadata", "--format-version", "1", "--no-deps"], cwd=ROOT, check=True,
                          capture_output=True, text=True)
    return pathlib.Path(json.loads(told.stdout)["target_directory"]) / "debug" / "license-local"


def until(found: Callable[[], Any], what: str, seconds: float = SECONDS_TO_START) -> Any:
    """What `found` returns once it is something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if it := found():
            return it
        time.sleep(0.05)
    raise TimeoutError(f"{what} was waited for, and did not come within {seconds:.0f} s")


class Process:
    """A service, its lines in a file, stopped by SIGTERM."""

    def __init__(self, command: list[str], environment: dict[str, str], output: pathlib.Path) -> None:
        self.output = output
        with output.open("wb") as out:
            self.child = subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.STDOUT)

    def lines(self) -> list[str]:
        return [line for line in self.output.read_text().splitlines() if line.startswith('{"time":')]

    def has(self, text: str) -> bool:
        if self.child.poll() is not None:
            raise RuntimeError(f"it stopped:\n{self.output.read_text()[-2000:]}")
        return any(text in line for line in self.lines())

    def stop(self) -> None:
        self.child.send_signal(signal.SIGTERM)
        self.child.wait(30)


class Services:
    def __init__(self, folder: pathlib.Path, local: Process) -> None:
        self.folder, self.local, self.run = folder, local, Run()
        self.at = json.loads((folder / "endpoints.json").read_text())
        self.key = self.at["license_key"]
        self.environment = dict(
            word.split("=", 1) for line in (folder / "env").read_text().splitlines() if not line.startswith("#")
            for word in shlex.split(line)
        )

    def ask(self, method: str, path: str, body: Any = None, bearer: str | None = None, at: str | None = None,
            count: bool = True) -> Asked:
        where = urlsplit(at or self.at["front"])
        # The load balancer adds the trace; the client is charged for the rest.
        trace = {"traceparent": f"00-{uuid.uuid4().hex}-{uuid.uuid4().hex[:16]}-01"}
        sent = {"User-Agent": CLIENT, "Accept": "application/json"}
        text = None
        if body is not None:
            text = json.dumps(body, separators=(",", ":")).encode()
            sent |= {"Content-Type": "application/json"}
        if bearer:
            sent |= {"Authorization": f"Bearer {bearer}"}
        connection = http.client.HTTPConnection(where.hostname, where.port, timeout=30)
        connection.request(method, path, text, sent | trace)
        reply = connection.getresponse()
        content = reply.read()
        connection.close()
        head = sum(len(name) + len(value) + 4 for name, value in reply.getheaders())
        said = len(method) + len(path) + 12 + sum(len(name) + len(value) + 4 for name, value in sent.items())
        answer = json.loads(content) if "json" in (reply.getheader("Content-Type") or "") else {}
        asked = Asked(method, path, reply.status, answer, said + 40 + len(text or b""), head + 19 + len(content))
        if count:
            self.run.asked.append(asked)
        return asked

    def acquire(self, machine: str, key: str | None = None, attempt: str | None = None) -> Asked:
        return self.ask("POST", "/api/v1/licenses/acquire", {
            "license_key": key or self.key, "hardware_id": f"machine-{machine}-0001",
            "attempt": attempt or str(uuid.uuid4()),
        })

    def heartbeat(self, session: str, body: dict[str, str] | None = None) -> Asked:
        return self.ask("POST", "/api/v1/licenses/heartbeat", body or {}, session)

    def redis(self, *words: str) -> str:
        path = self.environment["REDIS_URL"].removeprefix("redis+unix://")
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(path)
            parts = [b"$%d\r\n%b\r\n" % (len(word), word.encode()) for word in words]
            connection.sendall(b"*%d\r\n" % len(parts) + b"".join(parts))
            return connection.recv(200).decode().strip()

    def publish(self, topic: str, data: bytes) -> None:
        body = {"messages": [{"data": base64.b64encode(data).decode()}]}
        self.ask("POST", f"/v1/projects/local/topics/{topic}:publish", body, self.environment["PUBSUB_BUS_TOKEN"],
                 at=self.environment["PUBSUB_BUS_URL"], count=False)

    @contextmanager
    def beside(self, function: str, **changed: str) -> Iterator[tuple[str, Process]]:
        """A function of its own with another environment; where it listens, and its process."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        environment = {**self.environment, **changed, "PORT": str(port), "PATH": os.environ["PATH"]}
        process = Process([str(binary().with_name(function))], environment, self.folder / f"{function}.log")
        try:
            until(lambda: process.has('"listening"'), f"{function} listening")
            yield f"http://127.0.0.1:{port}", process
        finally:
            process.stop()
            self.run.lines += process.lines()


@contextmanager
def services(**settings: str) -> Iterator[Services]:
    """All functions, started with these settings; their lines are in `run` when they have stopped."""
    with tempfile.TemporaryDirectory(prefix="license-watch-") as parent:
        # Under root the stores run as an account of their own, which must reach its data.
        pathlib.Path(parent).chmod(0o711)
        folder = pathlib.Path(parent) / "data"
        logging = {"LOG_FORMAT": "json", "LOG_LEVEL": "info", "GOOGLE_CLOUD_PROJECT": PROJECT}
        environment = {**os.environ, **logging, **settings}
        environment.pop("RUST_LOG", None)
        process = Process([str(binary()), "--port", "0", "--data", str(folder)], environment,
                          pathlib.Path(parent) / "local.log")
        started = None
        try:
            until(lambda: process.has("reaper/tick_requests"), "a first tick")
            until((folder / "endpoints.json").exists, "endpoints.json")
            started = Services(folder, process)
            yield started
        finally:
            process.stop()
            if started:
                started.run.lines += process.lines()
