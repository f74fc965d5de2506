"""Runs ./deploy, and the fakes that it starts, in forks of the tests' own Python, which has the standard library loaded.

Each is the script itself, from its first line to its exit code, with its own arguments, environment, standard streams
and process. Only the start of Python is left out, which takes longer than all that ./deploy or a fake does itself.
./deploy starts the fakes by subprocess.Popen as it starts programs. One that behaves as the program that it stands for
does not even get a process: it is run where ./deploy would wait for it (within.py). One that a test told what to answer
(its rules) is a process, with the pipes, the session and the signals of subprocess; the one thing that is not done is
the exec in the child. What is no fake of ours is executed; and `conftest.real` starts ./deploy as a shell does, fakes
and all. `test_forked.py` compares the three.
"""

import argparse  # noqa: F401 - here and below: what ./deploy and the fakes import, loaded once for every fork
import functools
import gc
import hashlib  # noqa: F401
import http.client  # noqa: F401
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import runpy
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap  # noqa: F401
import threading
import traceback
import urllib.request  # noqa: F401

import within

PATIENCE_SECONDS = 60
# The first line of a program that may be run in a fork: this Python, without what its surroundings add to it.
FIRST_LINE = f"#!{sys.executable} -IS\n"
# No script here opens as many files; what a fork has open besides its standard streams is not its own.
_MOST_FILES = 1024


def run(script, arguments: list, *, env: dict, feed: str, patience=PATIENCE_SECONDS) -> subprocess.CompletedProcess:
    """Run a Python script to its end, as subprocess.run does."""
    if threading.active_count() > 1:
        raise RuntimeError("A fork of a process with threads may stand still for ever.")
    words = [str(script), *map(str, arguments)]
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        given.write(feed.encode())
        given.seek(0)
        # Closed by the kernel when the child ends, whatever it ends by.
        alive, held = os.pipe()
        child = os.fork()
        if child == 0:
            _as_deploy(words, env, (given.fileno(), out.fileno(), errors.fileno()))
        os.close(held)
        code = _await(child, alive, patience)
        os.close(alive)
        texts = []
        for stream in (out, errors):
            stream.seek(0)
            texts.append(stream.read().decode())
    if code is None:
        raise subprocess.TimeoutExpired(words, patience, *texts)
    return subprocess.CompletedProcess(words, code, *texts)


def _await(child: int, alive: int, patience: float):
    ended, _, _ = select.select([alive], [], [], patience)
    if not ended:
        os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code if ended else None


def _as_deploy(words: list, env: dict, streams: tuple):
    for wanted, stream in enumerate(streams):
        os.dup2(stream, wanted)
    _forget_pieces()
    sys.meta_path.insert(0, _Pieces())
    subprocess.Popen = _Popen
    _become(words, env)


class _Popen(subprocess.Popen):
    """As Popen, but for the exec of a fake."""

    def __new__(cls, words, *more, env=None, **options):
        program = shutil.which(words[0], path=(env or os.environ).get("PATH"))
        if program and not more and _is_ours(program) and within.may_be(env, options):
            return within.Fake([program, *map(str, words[1:])], env, **options)
        one = super().__new__(cls)
        one.found = program
        return one

    def __init__(self, words, *more, env=None, **options):
        if threading.active_count() == 1 and self.found and _is_ours(self.found):
            # Called in the child, where the program would be executed: its streams and its session are made.
            options["preexec_fn"] = functools.partial(_as_fake, [self.found, *words[1:]], env or dict(os.environ))
        super().__init__(words, *more, env=env, **options)


def _is_ours(program: str) -> bool:
    with open(program, "rb") as file:
        return file.read(len(FIRST_LINE)) == FIRST_LINE.encode()


def _as_fake(words: list, env: dict):
    os.closerange(3, _MOST_FILES)
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    # As Python begins.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    _become(words, env)


def _become(words: list, env: dict):
    """Never returns: what the tests' Python would do at its own end is not this process's to do."""
    code = 70
    # Kept until the end: what they hold and have not written is for whoever was forked to write.
    others = (sys.stdin, sys.stdout, sys.stderr)
    try:
        gc.freeze()
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
        sys.argv = words
        os.environ.clear()
        os.environ.update(env)
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        code = _exit_code(words[0])
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code if others else 70)


def _forget_pieces():
    """Forget what a test imported of deploy.d itself: the script takes its own, which lies beside it."""
    for name, module in list(sys.modules.items()):
        if "/deploy.d/" in (getattr(module, "__file__", None) or ""):
            del sys.modules[name]


# The pieces of ./deploy that the tests' Python has compiled, by the file itself and when it was written.
_CODE = {}


def know(directory):
    """Compile these pieces before anybody is forked: most clones of the tests have the very same files."""
    for path in directory.glob("*.py"):
        _CODE[_file(path)] = compile(path.read_bytes(), path, "exec", dont_inherit=True)
    # Loaded and forgotten: `re` keeps the patterns that they compile.
    sys.path.insert(0, str(directory))
    importlib.import_module("command_line")
    sys.path.pop(0)
    _forget_pieces()


def _file(path) -> tuple:
    found = os.stat(path)
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


class _Pieces(importlib.abc.MetaPathFinder):
    """Finds a piece of ./deploy in the clone where Python would, with code that is known."""

    def find_spec(self, name, _path, _target=None):
        file = os.path.join(sys.path[0], f"{name}.py")
        if not sys.path[0].endswith("/deploy.d") or not os.path.exists(file) or _file(file) not in _CODE:
            return None
        return importlib.util.spec_from_file_location(name, file, loader=_Known(name, file))


class _Known(importlib.machinery.SourceFileLoader):
    def get_code(self, fullname):
        return _CODE[_file(self.get_filename(fullname))]


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
