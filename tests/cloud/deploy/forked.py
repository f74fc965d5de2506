"""Runs ./deploy in a fork of the tests' own Python, which has the standard library loaded already.

It is the script itself, from its first line to its exit code, with its own arguments, environment, standard streams and
process. Only the start of Python is left out, which takes longer than all that ./deploy does itself.
"""

import argparse  # noqa: F401 - here and below: what ./deploy imports, loaded once for every fork
import hashlib  # noqa: F401
import http.client  # noqa: F401
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import textwrap  # noqa: F401
import threading
import time
import traceback
import urllib.request  # noqa: F401

PATIENCE_SECONDS = 60


def run(script, arguments: list, *, env: dict, feed: str, patience=PATIENCE_SECONDS) -> subprocess.CompletedProcess:
    """Run a Python script to its end, as subprocess.run does."""
    if threading.active_count() > 1:
        raise RuntimeError("A fork of a process with threads may stand still for ever.")
    words = [str(script), *map(str, arguments)]
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        given.write(feed.encode())
        given.seek(0)
        child = os.fork()
        if child == 0:
            _become(words, env, (given.fileno(), out.fileno(), errors.fileno()))
        code = _await(child, patience)
        texts = []
        for stream in (out, errors):
            stream.seek(0)
            texts.append(stream.read().decode())
    if code is None:
        raise subprocess.TimeoutExpired(words, patience, *texts)
    return subprocess.CompletedProcess(words, code, *texts)


def _await(child: int, patience: float):
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def _become(words: list, env: dict, streams: tuple):
    """Never returns: what the tests' Python would do at its own end is not this process's to do."""
    code = 70
    try:
        for wanted, stream in enumerate(streams):
            os.dup2(stream, wanted)
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
        sys.argv = words
        _forget_pieces()
        os.environ.clear()
        os.environ.update(env)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        code = _exit_code(words[0])
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _forget_pieces():
    """Forget what a test imported of deploy.d itself: the script takes its own, which lies beside it."""
    for name, module in list(sys.modules.items()):
        if "/deploy.d/" in (getattr(module, "__file__", None) or ""):
            del sys.modules[name]


def _exit_code(script: str) -> int:
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
            return 1
        return end.code or 0
    except BaseException:  # noqa: BLE001 - as Python itself: the lines of where it was, and 1
        traceback.print_exc()
        return 1
    return 0
