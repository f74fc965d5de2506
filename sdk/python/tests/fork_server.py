"""A Python that was started to run the command line, and runs it in a fork of itself as often as it is asked.

    python tests/fork_server.py FD

It loads what the command line imports, and asks FD for what to run. Each fork has the arguments, the environment, the
folder and the streams that it is given, begins ``coditect_license`` as ``python -m`` does, and ends as a Python ends,
with its finalizers and the last flush of its streams. What acts while Python starts acts here: ``tests/forked.py``
starts one of these for every way to start.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import importlib
import json
import os
import runpy
import socket
import sys
from typing import Any

# What the package imports only where it is needed, of others and of its own.
LOADED_ONCE = (
    *("cryptography.exceptions", "cryptography.hazmat.primitives.asymmetric.ed25519", "httpx", "platformdirs"),
    *("keyring", "keyring.backends.null", "rich.console", "rich.text"),
    *("argparse", "getpass", "logging", "platform", "ssl", "subprocess", "unicodedata", "urllib.request", "uuid"),
    *("coditect_license._client", "coditect_license._http", "coditect_license._seat", "coditect_license._store"),
    *("coditect_license._cli.commands", "coditect_license._cli.doctor", "coditect_license._cli.run"),
)
LENGTH_BYTES = 4
OUT_OF_THE_WAY = 10
"""No stream of a command has such a number."""
MOST_FILES = 1024


def load() -> None:
    for name in LOADED_ONCE:
        with contextlib.suppress(Exception):  # the command line meets it where it imports it
            importlib.import_module(name)
    gc.freeze()  # what is there stays, and no fork looks through it


def hold_no_stream() -> None:
    """Let go of the streams of the first command, which this process was started with. Closed ones stay closed."""
    nowhere = fcntl.fcntl(os.open(os.devnull, os.O_RDWR), fcntl.F_DUPFD, OUT_OF_THE_WAY)
    for number, stream in enumerate((sys.stdin, sys.stdout, sys.stderr)):
        if stream is None:
            with contextlib.suppress(OSError):
                os.close(number)
        else:
            os.dup2(nowhere, number)
    os.close(nowhere)


def receive(channel: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """What is to be run, and its streams. ``None`` once nobody asks any more."""
    header, fds, _, _ = socket.recv_fds(channel, LENGTH_BYTES, 3)
    if not header:
        return None
    left, text = int.from_bytes(header, "big"), b""
    while len(text) < left:
        text += channel.recv(left - len(text))
    return json.loads(text), fds


def tell(channel: socket.socket, number: int) -> None:
    channel.sendall(number.to_bytes(LENGTH_BYTES, "big", signed=True))


def serve(channel: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Fork for each that asks. Returns what to run in a fork, and ``None`` in the server."""
    while asked := receive(channel):
        child = os.fork()
        if child == 0:
            channel.close()
            return asked
        for fd in asked[1]:
            os.close(fd)
        tell(channel, child)
        tell(channel, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    return None


def become(asked: dict[str, Any], fds: list[int], found: dict[str, str]) -> None:
    """Take over what the command was given. ``sys.stdin`` and its like stay those that Python made when it started.

    ``found`` is the environment that this Python found. Where it is not the one that the start gave, a program before
    it changed it (a shell, ``env -u``), or Python itself did where the locale is C: so it is changed for each command.
    """
    moved = [fcntl.fcntl(fd, fcntl.F_DUPFD, OUT_OF_THE_WAY) for fd in fds]
    for number in {0, 1, 2} - set(asked["streams"]):
        with contextlib.suppress(OSError):
            os.close(number)
    for number, fd in zip(asked["streams"], moved, strict=True):
        os.dup2(fd, number)
    os.closerange(3, MOST_FILES)
    os.chdir(asked["cwd"])
    first = asked["first_env"]
    kept = {name: value for name, value in asked["env"].items() if name not in first or name in found}
    changed = {name: value for name, value in found.items() if first.get(name) != value}
    os.environ.clear()
    os.environ.update(kept | changed)
    # As `python -m coditect_license` has them.
    sys.path[0] = os.getcwd()  # noqa: PTH109 - a text, as Python itself writes it
    sys.argv = ["-m", *asked["words"]]
    sys.orig_argv = [sys.executable, "-m", "coditect_license", *asked["words"]]


def main() -> None:
    channel, found = socket.socket(fileno=int(sys.argv[1])), dict(os.environ)
    load()
    hold_no_stream()
    if asked := serve(channel):
        become(*asked, found)
        runpy._run_module_as_main("coditect_license")  # type: ignore[attr-defined] # what `python -m` itself calls


if __name__ == "__main__":
    main()
