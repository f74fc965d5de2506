"""Starts the command line hundreds of times without hundreds of starts of Python, which take longer than what it does.

The first start of a kind is a process of its own, as ``python -m coditect_license`` makes it. The further ones are
forks of a Python that was started in the same way, has loaded what the command line imports, and waits
(``tests/fork_server.py``). Of one kind are starts that do not differ in what acts while Python starts: the variables in
``START_VARIABLES``, the program that changes the surroundings before Python begins and the folder that it begins in,
and for each standard stream whether it is a terminal, a pipe, a file or closed. All else may differ, and each fork has
its own. What acts while a module is imported is met by the starts that are none of forks: a test that looks for it asks
for one (``alone``).
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import selectors
import signal
import socket
import stat
import subprocess
import sys
import time
from collections import OrderedDict, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from .fork_server import LENGTH_BYTES

PATIENCE_SECONDS = 60.0
START_VARIABLES = ("PYTHON", "LC_", "LANG", "LD_", "OPENSSL", "SSL", "TZ")
"""How the names of variables begin that Python, or a library that it loads once, looks at when it starts."""
MOST_SERVERS = 4
PIPE_CHARACTERS = 4096

Kind = tuple[object, ...]


class Started(Protocol):
    """A command that runs: a process, or a fork."""

    pid: int

    def wait(self, timeout: float | None = None) -> int: ...
    def kill(self) -> None: ...


class Server:
    """A Python that forks. Its process ends when nobody holds its channel any more."""

    def __init__(self, before: Sequence[str], env: Mapping[str, str], streams: Sequence[int]) -> None:
        self.env = dict(env)
        self.channel, its = socket.socketpair()
        with its:
            self.process = subprocess.Popen(
                [*before, sys.executable, str(Path(__file__).with_name("fork_server.py")), str(its.fileno())],
                env=env,
                stdin=streams[0],
                stdout=streams[1],
                stderr=streams[2],
                pass_fds=[its.fileno()],
            )

    def close(self) -> None:
        self.channel.close()
        try:
            self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@dataclass
class Fork:
    """The one fork that a server has at a time."""

    channel: socket.socket
    pid: int
    code: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        if self.code is None:
            self.channel.settimeout(timeout)
            try:
                self.code = number_from(self.channel)
            except TimeoutError:
                raise subprocess.TimeoutExpired("coditect-license", timeout or 0) from None
        return self.code

    def kill(self) -> None:
        if self.code is None:
            os.kill(self.pid, signal.SIGKILL)


_seen: defaultdict[Kind, int] = defaultdict(int)
_servers: OrderedDict[Kind, Server] = OrderedDict()


def start(
    words: Sequence[str],
    env: Mapping[str, str],
    streams: Sequence[int],
    *,
    before: Sequence[str] = (),
    closed: str = "",
    alone: bool = False,
) -> Started:
    """Start ``coditect-license`` with these words and with three open files as its streams.

    ``before`` is a program with its arguments that executes the rest; ``closed`` are the digits of what it closes.
    ``alone`` has it start as a process of its own, whatever was started before.
    """
    kind = (
        *(sorted((name, value) for name, value in env.items() if name.startswith(START_VARIABLES))),
        *(before and (*before, str(Path.cwd()))),
        *("closed" if str(number) in closed else kind_of(fd) for number, fd in enumerate(streams)),
    )
    _seen[kind] += 1
    if alone or _seen[kind] == 1 or not sys.platform.startswith("linux"):
        command = [*before, sys.executable, "-m", "coditect_license", *words]
        return subprocess.Popen(command, env=env, stdin=streams[0], stdout=streams[1], stderr=streams[2])
    server = _servers.pop(kind, None) or Server(before, env, streams)
    _servers[kind] = server  # the last to be closed
    if len(_servers) > MOST_SERVERS:
        _servers.popitem(last=False)[1].close()
    own = [number for number in range(3) if str(number) not in closed]
    asked = {"words": list(words), "env": dict(env), "first_env": server.env, "cwd": str(Path.cwd()), "streams": own}
    text = json.dumps(asked).encode()
    socket.send_fds(server.channel, [len(text).to_bytes(LENGTH_BYTES, "big")], [streams[number] for number in own])
    server.channel.sendall(text)
    server.channel.settimeout(PATIENCE_SECONDS)
    return Fork(server.channel, number_from(server.channel))


def kind_of(fd: int) -> tuple[int, bool]:
    return stat.S_IFMT(os.fstat(fd).st_mode), os.isatty(fd)


def number_from(channel: socket.socket) -> int:
    told = channel.recv(LENGTH_BYTES)
    assert len(told) == LENGTH_BYTES, "the server of forks has ended"
    return int.from_bytes(told, "big", signed=True)


def run(
    words: Sequence[str],
    env: Mapping[str, str],
    *,
    stdin: str | int = "",
    stdout: int = subprocess.PIPE,
    stderr: int = subprocess.PIPE,
    timeout: float = PATIENCE_SECONDS,
    **more: Any,
) -> subprocess.CompletedProcess[str]:
    """Run it to its end, as ``subprocess.run`` does with ``capture_output`` and ``text``."""
    with contextlib.ExitStack() as ours, contextlib.ExitStack() as its:
        streams, read = [input_of(stdin, its)], []
        for stream in (stdout, stderr):
            if stream == subprocess.PIPE:
                reading, writing = os.pipe()
                ours.callback(os.close, reading)
                its.callback(os.close, writing)
                read.append(reading)
            streams.append(writing if stream == subprocess.PIPE else stream)
        over = time.monotonic() + timeout
        started = start(words, env, streams, **more)
        its.close()
        try:
            texts = dict(zip(read, read_all(read, over), strict=True))
            code = started.wait(max(over - time.monotonic(), 0.1))
        except BaseException:
            started.kill()
            started.wait(PATIENCE_SECONDS)
            raise
    each = iter(texts.values())
    out, err = (next(each) if stream == subprocess.PIPE else "" for stream in (stdout, stderr))
    return subprocess.CompletedProcess(list(words), code, out, err)


def input_of(given: str | int, its: contextlib.ExitStack) -> int:
    if isinstance(given, int):
        return given
    reading, writing = os.pipe()
    its.callback(os.close, reading)
    with os.fdopen(writing, "w") as file:
        assert len(given) < PIPE_CHARACTERS, "more than a pipe holds while nobody reads"
        file.write(given)
    return reading


def read_all(files: Sequence[int], over: float) -> Iterator[str]:
    """What is written into each of these pipes until all who could write have closed them."""
    seen = dict.fromkeys(files, b"")
    with selectors.DefaultSelector() as waiting:
        for file in files:
            waiting.register(file, selectors.EVENT_READ)
        while waiting.get_map():
            ready = waiting.select(max(over - time.monotonic(), 0))
            if not ready:
                raise subprocess.TimeoutExpired("coditect-license", PATIENCE_SECONDS, b"".join(seen.values()))
            for key, _ in ready:
                chunk = os.read(key.fd, 65536)
                seen[key.fd] += chunk
                if not chunk:
                    waiting.unregister(key.fd)
    for text in seen.values():
        yield text.decode().replace("\r\n", "\n").replace("\r", "\n")


@atexit.register
def _close_servers() -> None:
    while _servers:
        _servers.popitem()[1].close()
