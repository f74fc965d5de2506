"""A fork of ``tests/forked.py`` finds itself as a start of Python does."""

from __future__ import annotations

import json
import os
import subprocess
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from . import forked

pytestmark = pytest.mark.one_python

PROBE = """
import atexit, json, os, signal, sys
streams = [
    stream and (stream.name, stream.mode, stream.encoding, stream.errors, stream.line_buffering, stream.isatty())
    for stream in (sys.stdin, sys.stdout, sys.stderr)
]
fds = sorted(int(name) for name in os.listdir("/proc/self/fd"))
status = open("/proc/self/status").read().splitlines()
# Without SigIgn: signals that belong to the C library are in it. The handlers below name those that are ignored.
kept = ("Uid", "Gid", "Groups", "Cap", "NoNew", "SigBlk", "SigCgt", "Umask")
told = {
    "words": sys.argv,
    "original": sys.orig_argv,
    "name": __name__,
    "package": __package__,
    "flags": str(sys.flags),
    "path": sys.path,
    "streams": streams,
    "open": fds[:-1] if fds[-1] > 2 or len(fds) > 3 else fds,
    "env": dict(os.environ),
    "c_env": os.popen("env | grep -v ^_= | sort").read() if sys.stdin else "",
    "cwd": os.getcwd(),
    "group": os.getpgrp(),
    "session": os.getsid(0),
    **{line.split(":")[0]: line for line in status if line.startswith(kept)},
    "handlers": [str(signal.getsignal(number)).split(" at 0x")[0] for number in sorted(signal.Signals)],
    "limits": open("/proc/self/limits").read(),
    "own": sorted(name for name in sys.modules if name.startswith("coditect_license")),
}
open(os.environ["TOLD"], "w").write(json.dumps(told))
print("out")
atexit.register(print, "at exit")
if sys.argv[1:] == ["raise"]:
    raise RuntimeError("told")
sys.exit(int(sys.argv[1]))
"""
ENVIRONMENTS = {
    "as it is": {},
    "C": {"LC_ALL": "C"},
    "ASCII": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"},
    "optimized": {"PYTHONOPTIMIZE": "2"},
    "elsewhere": {"PWD": "/", "OLDPWD": "/nowhere"},
}
CHANGES = ["env", "-u", "LEFT_OUT", "PWD=/changed", "ADDED=1"]
"""A program that changes the environment before Python begins, as shells and ``setpriv`` do."""


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    package = tmp_path / "coditect_license"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text(PROBE)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    path = os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]])
    return {**kept, "PYTHONPATH": path, "TOLD": str(tmp_path / "told")}


def told(env: dict[str, str], *words: str, **more: Any) -> dict[str, Any]:
    done = forked.run(words, env, **more)
    found: dict[str, Any] = json.loads(Path(env["TOLD"]).read_text())
    Path(env["TOLD"]).unlink()
    # The lines of where it was differ: a fork came by way of its server.
    return found | {"code": done.returncode, "out": done.stdout, "error": done.stderr.splitlines()[-1:]}


def found_by_both(env: dict[str, str], *words: str, **more: Any) -> dict[str, Any]:
    """What a start found, once a fork has found the same."""
    start, fork = told(env, *words, **more, alone=True), told(env, *words, **more)
    different = {name: (value, fork[name]) for name, value in start.items() if value != fork[name]}
    assert different == {}, words
    return start


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux forks")
@pytest.mark.parametrize(
    ("name", "closed"),
    [*((name, "") for name in ENVIRONMENTS), *product(("as it is", "elsewhere"), ("0", "1", "2", "012"))],
)
def test_a_fork_finds_what_a_start_finds(env: dict[str, str], name: str, closed: str) -> None:
    env |= ENVIRONMENTS[name]
    shell = ["sh", "-c", 'exec "$@" ' + " ".join(f"{number}>&-" for number in closed), "sh"] if closed else []
    for words in (["7"], ["raise"], ["0"]):
        start = found_by_both(env, *words, before=shell, closed=closed)
        assert start["code"] == (1 if words == ["raise"] else int(words[0])), start


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux forks")
def test_a_fork_finds_the_environment_that_a_program_before_it_changed(
    env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In each folder, and with the variables of each start: those of the first one do not stay."""
    for number, folder in enumerate(("a", "b", "a")):
        (tmp_path / folder).mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / folder)
        own = {"LEFT_OUT": str(number), "ADDED": str(number), f"ONLY_{number}": "1"}
        found = found_by_both(env | own, "0", before=CHANGES)["env"]
        assert (found.get("LEFT_OUT"), found["ADDED"], found["PWD"]) == (None, "1", "/changed")
        shell = found_by_both(env | own, "0", before=["sh", "-c", 'exec "$@"', "sh"])
        assert shell["env"].items() >= own.items()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux forks")
def test_a_fork_that_does_not_end_is_ended(env: dict[str, str]) -> None:
    (Path(env["PYTHONPATH"].split(os.pathsep)[0]) / "coditect_license/__main__.py").write_text(
        "import time; time.sleep(60)"
    )
    for _ in range(2):
        with pytest.raises(subprocess.TimeoutExpired):
            forked.run(["0"], env, timeout=0.5)
