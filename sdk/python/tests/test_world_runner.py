"""The runner of ./dev sdk world itself, with made-up parts and Pythons."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import until

pytestmark = pytest.mark.one_python

WORLD = Path(__file__).resolve().parents[1] / "world"
LINE = re.compile(r"^(ok    |FAILED) +([\d.]+) s +([\d.]+) s of processor  (\S+)$", re.M)
# A Python that says what the runner asks, and makes no environment.
PYTHON = "#!/bin/sh\nexec {python} -I -c \"import sys; print('cpython {version} /usr')\"\n"
ENVIRONMENT = """
from . import pythons
PROGRAMS = UNIT_TESTS = None
def program_python(found): return "main"
def environment(python, requirements): return __import__("pathlib").Path(__import__("sys").executable)
"""
SERVER = "#!/bin/sh\necho /data; touch {place}/server-is-here; cat >/dev/null; rm {place}/server-is-here\n"


class Stage:
    """A copy of the runner whose parts, Pythons and server are made up."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.world = place / "sdk/python/world"
        (self.world / "parts").mkdir(parents=True)
        (place / "bin").mkdir()
        shutil.copy(WORLD / "run", self.world)
        shutil.copytree(WORLD / "kit", self.world / "kit", ignore=shutil.ignore_patterns("__pycache__"))
        (self.world / "kit/environment.py").write_text(ENVIRONMENT)
        self.script(self.world / "serve", SERVER.format(place=place))

    def script(self, path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o755)

    def part(self, name: str, body: str) -> None:
        self.script(self.world / "parts" / name, f"#!/bin/sh\ncd {self.place}\n{body}\n")

    def pythons(self, *versions: str) -> None:
        for version in versions:
            self.script(self.place / f"bin/python{version}", PYTHON.format(python=sys.executable, version=version))

    def command(self, *names: str) -> list[str]:
        # This Python is found wherever it is; the others only where they were put.
        return [sys.executable, str(self.world / "run"), *names]

    def environment(self) -> dict[str, str]:
        # The first Python of PATH is the one with the programs, which the made-up environment has none of.
        path = f"{self.place}/bin:/usr/bin:/bin"
        return os.environ | {"PATH": path, "PYENV_ROOT": str(self.place), "HOME": str(self.place)}

    def run(self, *names: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.command(*names),
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert not (self.place / "server-is-here").exists(), "the server went with the run"
        return done


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


AWAIT = "for i in $(seq 1000); do [ -e {0} ] && break; sleep 0.01; done; [ -e {0} ] || exit 9"


def test_two_run_side_by_side_and_each_has_its_line(stage: Stage) -> None:
    stage.part("a", f"echo a says; touch a-is-here; {AWAIT.format('b-is-here')}")
    stage.part("b", f"echo b says; touch b-is-here; {AWAIT.format('a-is-here')}; exit 3")
    done = stage.run()
    assert done.returncode == 1
    assert {name: word.strip() for word, _, _, name in LINE.findall(done.stdout)} == {"a": "ok", "b": "FAILED"}
    shown = [LINE.sub(r"\4", line) for line in done.stdout.splitlines()][:-2]
    assert shown in (["a says", "a", "b says", "b"], ["b says", "b", "a says", "a"])
    assert re.match(r"1 passed, 1 failed: b; \d+ s$", done.stdout.splitlines()[-2])


def test_the_last_line_names_the_pythons_that_are_not_here(stage: Stage) -> None:
    mine = f"{sys.version_info[0]}.{sys.version_info[1]}"
    stage.part("a", "exit 0")
    lacking = [version for version in ("3.10", "3.11", "3.12", "3.13") if version != mine]
    if all(not Path(f"{folder}/python{version}").exists() for version in lacking for folder in ("/usr/bin", "/bin")):
        assert stage.run().stdout.splitlines()[-1] == (
            f"This machine lacks Python {', '.join(lacking)}: nothing was run there."
        )
    stage.pythons("3.10", "3.11", "3.12", "3.13")
    every = "This machine has every Python from 3.10 to 3.13: the unit tests ran on"
    assert stage.run("a").stdout.splitlines()[-1] == f"{every} none of them."
    for version in ("3.10", "3.11", "3.12", "3.13"):
        stage.part(f"python-{version}", "exit 0")
    assert stage.run("python-3.11", "a").stdout.splitlines()[-1] == f"{every} 3.11 alone."
    assert stage.run("pythons").stdout.splitlines()[-1] == f"{every} all of them."


def test_parts_of_pythons_run_where_the_python_is(stage: Stage) -> None:
    stage.pythons("3.10", "3.11", "3.12", "3.13")
    for version in ("3.10", "3.13", "3.99"):
        stage.part(f"python-{version}", "echo ran $0")
    stage.part("other", "echo ran $0")
    done = stage.run("pythons")
    assert sorted(name for _, _, _, name in LINE.findall(done.stdout)) == ["python-3.10", "python-3.13"]


def test_a_part_finds_what_it_is_promised(stage: Stage) -> None:
    mine = f"{sys.version_info[0]}.{sys.version_info[1]}"
    stage.part("a", 'echo "$WORLD_SERVER $LICENSE_LOCAL"; echo "$WORLD_PYTHONS"; echo "$TMPDIR"; touch "$TMPDIR/left"')
    lines = stage.run("a").stdout.splitlines()
    assert lines[0].startswith("/data /") and lines[0].endswith("license-local")
    assert f"{mine}={sys.executable}" in lines[1].split(" ")
    assert not Path(lines[2]).exists()


def test_a_part_that_is_not_there_is_named(stage: Stage) -> None:
    stage.part("a", "exit 0")
    done = stage.run("z")
    assert (done.returncode, done.stdout) == (2, "There is no part z; there are a.\n")


def test_who_stops_it_stops_what_it_started(stage: Stage) -> None:
    stage.part("a", "sleep 300 & echo $! > child; touch up; wait")
    child = subprocess.Popen(
        stage.command(), env=stage.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    until((stage.place / "up").exists, 20)
    child.send_signal(signal.SIGTERM)
    assert child.wait(20) == 128 + signal.SIGTERM
    grandchild = int((stage.place / "child").read_text())
    until(lambda: not lives(grandchild))
    assert not (stage.place / "server-is-here").exists()


def test_what_a_part_leaves_running_goes_with_it(stage: Stage) -> None:
    stage.part("a", "sleep 300 >/dev/null 2>&1 & echo $! > child")
    stage.run("a")
    grandchild = int((stage.place / "child").read_text())
    until(lambda: not lives(grandchild))


def lives(pid: int) -> bool:
    """Whether it still runs; a zombie that nobody has waited for does not."""
    told = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return told.strip() != "" and not told.startswith("Z")


def test_each_promised_python_has_a_part() -> None:
    parts = {path.name for path in (WORLD / "parts").iterdir()}
    assert {f"python-3.{minor}" for minor in (10, 11, 12, 13)} <= parts


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-tests.txt"])
def test_what_several_files_pin_they_pin_alike(name: str) -> None:
    def pins(path: Path) -> set[str]:
        return {line for line in path.read_text().splitlines() if "==" in line and ";" not in line}

    here, there = pins(WORLD / name), pins(WORLD.parent / "requirements-dev.txt")
    named = {pin.partition("==")[0] for pin in there}
    assert {pin for pin in here if pin.partition("==")[0] in named} <= there
